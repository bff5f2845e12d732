import { Duplex, PassThrough } from 'node:stream';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { joinStreams } from './join-streams.ts';

/** A stream as a socket is: what `near` writes `far` reads, and the other way; each direction ends by itself. */
function pipe(highWaterMark = 1024): { near: Duplex; far: Duplex } {
  const there = new PassThrough({ highWaterMark });
  const back = new PassThrough({ highWaterMark });
  const end = (readable: PassThrough, writable: PassThrough): Duplex => {
    const one = new Duplex({
      allowHalfOpen: true,
      highWaterMark,
      read: () => readable.resume(),
      write: (chunk: Buffer, _encoding, done) => {
        if (writable.write(chunk)) done();
        else writable.once('drain', done);
      },
      final: (done) => {
        writable.end();
        done();
      },
      destroy: (error, done) => {
        if (!writable.writableEnded) writable.destroy();
        if (!readable.readableEnded) readable.destroy();
        done(error);
      },
    });
    readable.pause();
    readable.on('data', (chunk: Buffer) => {
      if (!one.push(chunk)) readable.pause();
    });
    readable.once('end', () => one.push(null));
    readable.once('close', () => {
      if (!readable.readableEnded) one.destroy();
    });
    return one;
  };
  return { near: end(back, there), far: end(there, back) };
}

/** `left.far` and `right.far` are the two parties; what stands between is joined. */
function joined(): { left: Duplex; right: Duplex; done: Promise<void> } {
  const [a, b] = [pipe(), pipe()];
  return { left: a.far, right: b.far, done: joinStreams(a.near, b.near) };
}

describe('joining two streams', () => {
  it('carries bytes both ways, and ends when both have ended', async () => {
    const { left, right, done } = joined();
    left.end('from left');
    right.end('from right');
    expect(await Promise.all([text(left), text(right)])).toEqual(['from right', 'from left']);
    await done;
  });
  it('keeps one direction open when the other has ended', async () => {
    const { left, right, done } = joined();
    left.end('question');
    expect(await text(right)).toBe('question');
    right.write('a late ');
    right.end('answer');
    expect(await text(left)).toBe('a late answer');
    await done;
  });
  it('holds a fast side back while the other does not read', async () => {
    const { left, right, done } = joined();
    let accepted = 0;
    while (left.write(Buffer.alloc(1024)) && accepted < 1000) accepted++;
    await new Promise((resolve) => setImmediate(resolve));
    while (accepted < 1000 && left.write(Buffer.alloc(1024))) accepted++;
    expect(accepted).toBeLessThan(50);
    left.end();
    right.end();
    left.resume();
    let bytes = 0;
    for await (const chunk of right) bytes += (chunk as Buffer).length;
    expect(bytes).toBeGreaterThanOrEqual(accepted * 1024);
    await done;
  });
  it('cuts the other side when one breaks off, so that what was cut does not look whole', async () => {
    const [a, b] = [pipe(), pipe()];
    const done = joinStreams(a.near, b.near);
    let ended = false;
    b.far.once('end', () => (ended = true));
    b.far.resume();
    a.far.write('half of it');
    a.near.destroy(new Error('reset'));
    await once(b.near, 'close');
    await done;
    expect(ended).toBe(false);
  });
  it('leaves nothing open when one side was gone before', async () => {
    const [a, b] = [pipe(), pipe()];
    a.near.destroy();
    await once(a.near, 'close');
    await joinStreams(a.near, b.near);
    expect(b.near.destroyed).toBe(true);
  });
  it('lets the other side go when one has ended and left, having delivered what it said', async () => {
    const [a, b] = [pipe(), pipe()];
    const done = joinStreams(a.near, b.near);
    const said = text(b.far);
    a.far.end('last words');
    await once(a.near, 'end');
    a.near.destroy(); // it wants no answer
    expect(await said).toBe('last words');
    await done;
    expect(b.near.destroyed).toBe(true);
  });
  it('waits until the other side has taken the last words', async () => {
    const a = pipe();
    let take: () => void = () => undefined;
    const slow = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => {
        take = done;
      },
    });
    const done = joinStreams(a.near, slow);
    a.far.end('last words');
    await once(a.near, 'end');
    a.near.destroy();
    await once(a.near, 'close');
    expect(slow.destroyed).toBe(false);
    take();
    await done;
    expect(slow.destroyed).toBe(true);
  });
});
