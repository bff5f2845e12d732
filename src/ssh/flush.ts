import type { Duplex } from 'node:stream';

/** Ends the writing side; resolves when everything was passed on. */
export function flush(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableFinished || stream.destroyed) resolve();
    stream.once('finish', resolve).once('close', resolve);
    if (!stream.writableEnded) stream.end();
  });
}
