import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { CodedError, messageOf } from '../../../base/errors.ts';
import type { ClientSession, PtyOptions, SessionOptions, SshClient } from '../../../ssh/cert-client.ts';
import type { ExitStatus as RemoteExit, WindowSize } from '../../../ssh/channel-types.ts';
import { signalNumber } from '../../../machine/exit-status.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import { writeBesides } from '../../terminal-output.ts';
import { EscapeSequences, escapeHelp } from './escape-sequences.ts';
import { watchInterruption } from '../../interruption.ts';

export interface RemoteSession {
  /** Undefined: a login shell. */
  readonly command: string | undefined;
  readonly pty: boolean;
  readonly agentForwarding: boolean;
  readonly escapeSequences: boolean;
  /** Further ones that the session is to have. Default: none. */
  readonly variables?: Readonly<Record<string, string>>;
  /** False: the command's stdin is empty. */
  readonly takesInput: boolean;
}

/**
 * Runs a shell or a command with this process's terminal or pipes: stdout and stderr stay apart, the end of
 * stdin is passed on, a terminal is raw during the session and is restored in every case.
 * @throws ExitStatus with the remote status when it is not 0, or 128 + n when signal n ended us.
 */
export async function runSession(node: SshClient, wanted: RemoteSession, io: CliIo): Promise<void> {
  const options: SessionOptions = {
    env: { ...localeOf(io), ...wanted.variables },
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
  const stopBesides = writeBesides(io);
  if (terminal) io.stdin.setRawMode?.(true);
  const input = wanted.takesInput
    ? attachInput(session, io, terminal && wanted.escapeSequences)
    : noInput(session);
  const stopResize = wanted.pty ? followSize(session, io) : () => undefined;
  try {
    const output = passOutput(session, io);
    return await Promise.race([output, input.disconnected, interruption.signalled]);
  } finally {
    interruption.stop();
    stopResize();
    input.stop();
    if (terminal) io.stdin.setRawMode?.(false);
    stopBesides();
    session.channel.destroy();
  }
}

/**
 * Each session listens to the same streams and signals: however many there are at once, that is not a leak.
 */
export function expectManySessions({ raw }: CliIo): void {
  for (const shared of [raw.stdout, raw.stderr, process]) shared.setMaxListeners(0);
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
  // As at its end: the command continues. A folder, a descriptor that is open for writing only, a terminal
  // that was hung up.
  const onError = (e: Error): void => {
    io.stderr.write(
      `WARNING: standard input cannot be read (${messageOf(e)}): the command finds it at its end\n`,
    );
    channel.end();
  };
  const onDrain = (): void => {
    stdin.resume();
  };
  // The channel's own end reports how it went; a failed write after it adds nothing.
  channel.on('error', () => undefined);
  channel.on('drain', onDrain);
  stdin.on('data', onData).on('end', onEnd).on('error', onError);
  if (stdin.errored) onError(stdin.errored);
  else if (stdin.readableEnded) onEnd();
  else stdin.resume();
  return {
    disconnected,
    stop: () => {
      stdin.off('data', onData).off('end', onEnd); // onError stays: a late failure is ignored
      channel.off('drain', onDrain);
      stdin.pause();
    },
  };
}

/**
 * Passes on all output, then resolves to how the session ended. When nobody reads stdout any more
 * (`tsh ssh host yes | head -1`) the command gets a closed pipe, and continues if it can.
 * @throws ExitStatus when the server does not support that: this program then ends as others do.
 */
async function passOutput(session: ClientSession, io: CliIo): Promise<RemoteExit> {
  const { channel } = session;
  const { stdout, stderr } = io.raw;
  const unheard = Promise.withResolvers<never>();
  const reader = { left: false };
  const onError = (e: NodeJS.ErrnoException): void => {
    if (e.code !== 'EPIPE') return;
    reader.left = true;
    channel.unpipe(stdout);
    channel.resume(); // the output that was under way
    void session.endOfWrite().then((heard) => {
      if (!heard) unheard.reject(new ExitStatus(brokenPipe));
    });
  };
  stdout.on('error', onError);
  const done = Promise.all([copy(channel, stdout), copy(channel.stderr, stderr)]).then(() => session.exit);
  const exit = await Promise.race([done, unheard.promise]);
  // When its output ended it, no message is needed.
  if (reader.left && endedByPipe(exit)) throw new ExitStatus(brokenPipe);
  return exit;
}

/** Ended directly, or as its shell reports it. */
const endedByPipe = (exit: RemoteExit): boolean =>
  exit.status === 'exited' ? exit.code === brokenPipe : exit.status === 'signalled' && exit.signal === 'PIPE';

/** The status that a shell shows for a program ended by SIGPIPE. */
const brokenPipe = 128 + constants.signals.SIGPIPE;

/**
 * Reads to the end, no faster than `to` accepts it. `to` stays open. A channel that broke off has ended, too.
 * When `to` fails because its reader left, the rest is read and discarded: the command must not wait for
 * ever.
 */
function copy(from: Readable, to: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (from.closed) resolve();
    from
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => {
        resolve();
      });
    to.once('error', () => {
      from.unpipe(to).resume();
    });
    from.pipe(to, { end: false });
  });
}

/** @throws ExitStatus unless the remote side ended with 0. */
export function checkExit(exit: RemoteExit): void {
  switch (exit.status) {
    case 'exited':
      if (exit.code !== 0)
        throw new ExitStatus(exit.code & 0xff || 1, `Process exited with status ${exit.code}`);
      return;
    case 'signalled': {
      const status = 128 + (signalNumber(exit.signal) ?? 127);
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
