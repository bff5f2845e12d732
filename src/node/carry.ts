import type { Duplex } from 'node:stream';

/**
 * Carries bytes both ways until both sides have ended, or one breaks off: then the other is cut as well. Each side pushes
 * back on the other. Resolves when both are closed; counts what went from `a` to `b` and back.
 */
export function carry(
  a: Duplex,
  b: Duplex,
  onBytes: (from: 'a' | 'b', bytes: number) => void = () => undefined,
): Promise<void> {
  const closed = (stream: Duplex, other: Duplex): Promise<void> =>
    new Promise((resolve) => {
      stream.on('error', () => stream.destroy()); // `close` follows; the other side learns by the cut
      stream.once('close', () => {
        if (!stream.readableEnded) other.destroy();
        resolve();
      });
      if (stream.destroyed) {
        other.destroy();
        resolve();
      }
    });
  const both = Promise.all([closed(a, b), closed(b, a)]);
  a.on('data', (chunk: Buffer) => {
    onBytes('a', chunk.length);
  });
  b.on('data', (chunk: Buffer) => {
    onBytes('b', chunk.length);
  });
  a.pipe(b);
  b.pipe(a);
  return both.then(() => undefined);
}
