import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { CodedError } from '../../base/errors.ts';
import type { ClientSession, PtyOptions, SessionOptions, SshClient } from '../../ssh/cert-client.ts';
import type { ExitStatus as RemoteExit, WindowSize } from '../../ssh/channel-types.ts';
import type { CliIo } from '../cli-io.ts';
import { ExitStatus } from '../errors.ts';
import { EscapeSequences, escapeHelp } from './escape-sequences.ts';
import { watchInterruption } from './interruption.ts';

export interface RemoteSession {
  /** Undefined: a login shell. */
  readonly command: string | undefined;
  readonly pty: boolean;
  readonly agentForwarding: boolean;
  readonly escapeSequences: boolean;
  /** False: the command finds its stdin at the end. */
  readonly takesInput: boolean;
}

/**
 * Runs a shell or a command with this process's terminal or pipes: stdout and stderr stay apart, the end of stdin is
 * passed on, a terminal is raw while it lasts and is restored on every way out.
 * @throws ExitStatus with the remote status when it is not 0, or 128 + n when signal n ended us.
 */
export async function runSession(node: SshClient, wanted: RemoteSession, io: CliIo): Promise<void> {
  const options: SessionOptions = {
    env: localeOf(io),
    agentForwarding: wanted.agentForwarding,
    ...(wanted.pty ? { pty: ptyOf(io) } : {}),
  };
  const session = await (wanted.command === undefined
    ? node.shell(options)
    : node.exec(wanted.command, options));
  const terminal = wanted.pty && io.stdin.isTTY === true;
  const exit = await attached(session, wanted, terminal, io);
  if (wanted.command === undefined && terminal)
    io.stderr.write(`the connection was closed on the remote side on  ${rfc822(io.world.now())}\n`);
  if (exit.status === 'unknown') await checkConnection(node);
  checkExit(exit);
}

/** @throws CodedError `unavailable` when the connection is what ended the session. */
async function checkConnection(node: SshClient): Promise<void> {
  const lost = await Promise.race([node.closed, Promise.resolve('open' as const)]);
  if (lost === 'open') return;
  const why = lost === undefined ? 'it was closed' : lost.message;
  throw new CodedError('unavailable', `the connection to the node was lost: ${why}`);
}

async function attached(
  session: ClientSession,
  wanted: RemoteSession,
  terminal: boolean,
  io: CliIo,
): Promise<RemoteExit> {
  const interruption = watchInterruption((signal) => {
    session.signal(signal.slice('SIG'.length));
  });
  if (terminal) io.stdin.setRawMode?.(true);
  const input = wanted.takesInput
    ? attachInput(session, io, terminal && wanted.escapeSequences)
    : noInput(session);
  const stopResize = wanted.pty ? followSize(session, io) : () => undefined;
  try {
    return await Promise.race([finished(session, io), input.disconnected, interruption.signalled]);
  } finally {
    interruption.stop();
    stopResize();
    input.stop();
    if (terminal) io.stdin.setRawMode?.(false);
    session.channel.destroy();
  }
}

const localeOf = (io: CliIo): Record<string, string> => {
  const names = ['LANG', 'LANGUAGE'];
  return Object.fromEntries(names.flatMap((n) => (io.env[n] === undefined ? [] : [[n, io.env[n]]])));
};

const ptyOf = (io: CliIo): PtyOptions => ({ term: io.env['TERM'] ?? 'xterm', size: sizeOf(io) });

function sizeOf(io: CliIo): WindowSize {
  const { columns = 80, rows = 25 } = io.raw.stdout.isTTY === true ? io.raw.stdout : io.raw.stderr;
  return { columns, rows, widthPixels: 0, heightPixels: 0 };
}

function followSize(session: ClientSession, io: CliIo): () => void {
  const stream = io.raw.stdout.isTTY === true ? io.raw.stdout : io.raw.stderr;
  const resize = (): void => {
    session.windowChange(sizeOf(io));
  };
  stream.on('resize', resize);
  return () => {
    stream.off('resize', resize);
  };
}

interface Input {
  /** Rejects when the person typed `~.`. Never resolves. */
  readonly disconnected: Promise<never>;
  stop(): void;
}

function noInput(session: ClientSession): Input {
  session.channel.on('error', () => undefined); // see attachInput
  session.channel.end();
  return { disconnected: new Promise<never>(() => undefined), stop: () => undefined };
}

function attachInput(session: ClientSession, io: CliIo, escapes: boolean): Input {
  const { stdin } = io;
  const { channel } = session;
  const sequences = new EscapeSequences();
  let disconnect: (e: Error) => void = () => undefined;
  const disconnected = new Promise<never>((_, reject) => {
    disconnect = reject;
  });
  disconnected.catch(() => undefined);
  const send = (bytes: Buffer): void => {
    if (bytes.length > 0 && !channel.write(bytes)) stdin.pause();
  };
  const onData = (chunk: Buffer | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!escapes) {
      send(bytes);
      return;
    }
    const { data, action } = sequences.feed(bytes);
    send(data);
    if (action === 'help') io.stderr.write(escapeHelp);
    if (action === 'disconnect') disconnect(new CodedError('unavailable', 'disconnected by ~.'));
  };
  const onEnd = (): void => {
    channel.end();
  };
  const onDrain = (): void => {
    stdin.resume();
  };
  // The channel's own end tells how it went; a write after it is no news.
  channel.on('error', () => undefined);
  channel.on('drain', onDrain);
  stdin.on('data', onData).on('end', onEnd);
  if (stdin.readableEnded) onEnd();
  else stdin.resume();
  return {
    disconnected,
    stop: () => {
      stdin.off('data', onData).off('end', onEnd);
      channel.off('drain', onDrain);
      stdin.pause();
    },
  };
}

/** Passes on all output, then answers how the session ended. */
async function finished(session: ClientSession, io: CliIo): Promise<RemoteExit> {
  const { channel } = session;
  await Promise.all([copy(channel, io.raw.stdout), copy(channel.stderr, io.raw.stderr)]);
  return session.exit;
}

/** Reads to the end, no faster than `to` takes it. `to` stays open. A channel that broke off has ended, too. */
function copy(from: Readable, to: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (from.closed) resolve();
    from
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => {
        resolve();
      });
    from.pipe(to, { end: false });
  });
}

const signalNumber = (name: string): number =>
  Object.entries(constants.signals).find(([signal]) => signal === `SIG${name}`)?.[1] ?? 127;

/** @throws ExitStatus unless the remote side ended with 0. */
export function checkExit(exit: RemoteExit): void {
  switch (exit.status) {
    case 'exited':
      if (exit.code !== 0)
        throw new ExitStatus(exit.code & 0xff || 1, `Process exited with status ${exit.code}`);
      return;
    case 'signalled': {
      const status = 128 + signalNumber(exit.signal);
      throw new ExitStatus(status, `Process exited with status ${status} from signal ${exit.signal}`);
    }
    case 'unknown':
      throw new ExitStatus(1, 'remote command exited without exit status or exit signal');
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `02 Jan 06 15:04 UTC`. Source: RFC 822, as Go writes it. */
export function rfc822(instant: string): string {
  const at = new Date(instant);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${two(at.getUTCDate())} ${months[at.getUTCMonth()] ?? ''} ${two(at.getUTCFullYear() % 100)} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())} UTC`;
}
