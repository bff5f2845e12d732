import type { Duplex } from 'node:stream';

/**
 * Carries bytes both ways with back-pressure. The end of one direction ends only that one; an error or a close of either
 * side closes the other. Resolves when both are closed.
 */
export function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  carry(a, b);
  carry(b, a);
  return Promise.all([closed(a), closed(b)]).then(() => undefined);
}

function carry(from: Duplex, to: Duplex): void {
  from.on('error', () => to.destroy());
  from.once('close', () => {
    // Everything that was read is passed on by the pipe; a side that broke off leaves nothing to wait for.
    if (!from.readableEnded) to.destroy();
  });
  from.pipe(to);
}

const closed = (stream: Duplex): Promise<void> =>
  stream.closed
    ? Promise.resolve()
    : new Promise((resolve) => {
        stream.once('close', () => {
          resolve();
        });
      });
