import type { Readable, Writable } from 'node:stream';
import { startTimer } from '../base/timers.ts';

/** Resolves when no more comes from the stream. */
export const endOf = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.readableEnded || stream.destroyed) resolve();
    stream
      .once('end', () => {
        resolve();
      })
      .once('close', () => {
        resolve();
      });
  });

/** How long another program, which holds the terminal after the one it was made for, may be silent. */
const lingerMs = 1_000;

/**
 * Resolves when `output` has accepted everything that programs have written to a terminal, which is piped
 * into `output`, and nothing more comes: when the terminal has ended, or was read empty and stays so for a
 * second. However long the reader takes, that second begins only when nothing waits for it any more. Resolves
 * at once when `unread` is aborted.
 */
export async function terminalRead(terminal: Readable, output: Writable, unread: AbortSignal): Promise<void> {
  const ended = endOf(terminal);
  const given = new Promise<void>((resolve) => {
    if (unread.aborted) resolve();
    unread.addEventListener('abort', () => {
      resolve();
    });
  });
  for (;;) {
    const quiet = quietFor(terminal, lingerMs);
    const first = await Promise.race([
      ended.then(() => 'over' as const),
      given.then(() => 'over' as const),
      quiet.reached,
    ]);
    quiet.cancel();
    if (first === 'over') return;
    // Nothing came for a second: because there is nothing, or because the reader has not accepted earlier
    // data?
    const waited = !output.destroyed && output.writableLength > 0;
    await Promise.race([taken(output), given]);
    if (!waited) return;
  }
}

function quietFor(terminal: Readable, ms: number): { readonly reached: Promise<'quiet'>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<'quiet'>();
  const timer = startTimer(() => {
    resolve('quiet');
  }, ms);
  const onData = (): void => {
    timer.restart();
  };
  terminal.on('data', onData);
  return {
    reached: promise,
    cancel: () => {
      timer.stop();
      terminal.off('data', onData);
    },
  };
}

/** Resolves when `output` has passed on what was written to it, or accepts no more. */
const taken = (output: Writable): Promise<void> =>
  new Promise((resolve) => {
    if (output.destroyed || output.writableLength === 0) resolve();
    else
      output.write(Buffer.alloc(0), () => {
        resolve();
      });
  });
