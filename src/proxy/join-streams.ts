import type { Duplex } from 'node:stream';

/** When one side is gone, the other may take so long to swallow what that side sent whole. */
const lingerMs = 30_000;

/**
 * Carries bytes both ways, each side pushing back on the other. The end of one direction ends only that one. A side that
 * breaks off cuts the other at once, so that what was cut never looks whole; a side that is gone in good order has what
 * it sent delivered first. Resolves when both are closed.
 */
export async function joinStreams(a: Duplex, b: Duplex): Promise<void> {
  const both = Promise.all([closed(a, b), closed(b, a)]);
  a.pipe(b);
  b.pipe(a);
  await both;
}

function closed(one: Duplex, other: Duplex): Promise<void> {
  one.on('error', () => one.destroy()); // `close` follows; the other side learns by that
  return new Promise((resolve) => {
    const gone = (): void => {
      if (one.readableEnded) letGo(other);
      else other.destroy();
      resolve();
    };
    if (one.closed) gone();
    else one.once('close', gone);
  });
}

/** Nobody reads any more what `stream` sends; it closes once it has taken what was written to it. */
function letGo(stream: Duplex): void {
  if (stream.writableFinished || stream.destroyed) {
    stream.destroy();
    return;
  }
  const limit = setTimeout(() => stream.destroy(), lingerMs);
  stream.once('close', () => {
    clearTimeout(limit);
  });
  stream.once('finish', () => stream.destroy());
  stream.resume();
}
