import { pause } from '../../../base/backoff.ts';
import { CodedError } from '../../../base/errors.ts';
import { KeyReader } from '../../../recording/playing/keys.ts';
import type { PlayedChunks } from '../../../recording/playing/played-chunks.ts';
import { type PlayedTerminal, Player, speeds } from '../../../recording/playing/player.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { watchInterruption } from '../../interruption.ts';
import { writeBesides } from '../../terminal-output.ts';

/** @throws CodedError `bad_request` for a speed that the player does not have. */
export function speedOf(invocation: Invocation): number {
  const text = invocation.text('speed') ?? '1';
  const speed = speeds.find((one) => String(one) === text);
  if (speed !== undefined) return speed;
  throw new CodedError(
    'bad_request',
    `--speed: expected one of ${speeds.join(', ')}, got "${text.slice(0, 64)}"`,
  );
}

/**
 * Plays a session in this terminal, until its end or until the person leaves. The terminal is restored in
 * every case.
 * @throws ExitStatus 128 + n when signal n ended us; CodedError as `Player.play`.
 */
export async function playInTerminal(chunks: PlayedChunks, invocation: Invocation, io: CliIo): Promise<void> {
  await chunks.more(0); // nothing is touched before there is something to show
  if (chunks.count === 0 && chunks.failure !== undefined) throw chunks.failure;
  const interruption = watchInterruption();
  const stopBesides = writeBesides(io);
  const gone = new AbortController();
  const player = new Player({
    chunks,
    terminal: terminalOf(io, gone.signal),
    monotonic: () => io.world.monotonic(),
    sleep: pause,
    keepsIdle: invocation.on('keep-idle'),
    isRaw: invocation.on('raw'),
    speed: speedOf(invocation),
  });
  const stopKeys = readKeys(player, io);
  const { stdout } = io.raw;
  const redraw = (): void => {
    player.wish({ kind: 'redraw' });
  };
  stdout.on('resize', redraw);
  try {
    const ended = await Promise.race([player.play(), interruption.signalled]);
    stdout.write(player.restoring());
    io.stdout.write(ended === 'ended' ? '\nend of session playback\n' : '\n');
  } catch (e) {
    stdout.write(`${player.restoring()}\n`);
    throw e;
  } finally {
    gone.abort();
    stdout.off('resize', redraw);
    stopKeys();
    interruption.stop();
    stopBesides();
  }
}

/** Nothing more is written to it once the signal is aborted: it may be restored already. */
function terminalOf(io: CliIo, gone: AbortSignal): PlayedTerminal {
  const { stdout } = io.raw;
  return {
    size: () => ({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 }),
    write: async (data) => {
      if (gone.aborted) return;
      if (!stdout.write(data)) await drained(io, gone);
    },
  };
}

function drained(io: CliIo, gone: AbortSignal): Promise<void> {
  const { stdout } = io.raw;
  return new Promise((resolve) => {
    const end = (): void => {
      stdout.off('drain', end);
      stdout.off('close', end);
      gone.removeEventListener('abort', end);
      resolve();
    };
    stdout.on('drain', end).on('close', end);
    gone.addEventListener('abort', end);
  });
}

/** Without a terminal to read from, a session is played to its end. */
function readKeys(player: Player, io: CliIo): () => void {
  const { stdin } = io;
  if (stdin.isTTY !== true) return () => undefined;
  const keys = new KeyReader();
  const onData = (chunk: Buffer | string): void => {
    for (const wish of keys.feed(chunk.toString())) player.wish(wish);
  };
  const leave = (): void => {
    player.wish({ kind: 'quit' });
  };
  stdin.setRawMode?.(true);
  stdin.on('data', onData).on('end', leave).on('error', leave).resume();
  return () => {
    stdin.off('data', onData).off('end', leave); // a late failure is ignored
    stdin.setRawMode?.(false);
    stdin.pause();
  };
}
