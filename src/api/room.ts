import type { Writable } from 'node:stream';

/** Resolves when the reader has accepted what was written, or when nobody waits for it any more. */
export const room = (outgoing: Pick<Writable, 'once' | 'off'>, gone: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done);
      gone.removeEventListener('abort', done);
      resolve();
    };
    if (gone.aborted) {
      resolve();
      return;
    }
    outgoing.once('drain', done);
    gone.addEventListener('abort', done);
  });
