import { Duplex, PassThrough } from 'node:stream';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { joinStreams } from './join-streams.ts';

/**
 * A stream as a socket is: what `near` writes `far` reads, and the other way; each direction ends by itself.
 */
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
  it('lets a side go that still sends when the other has ended and left', async () => {
    const [a, b] = [pipe(), pipe()];
    const done = joinStreams(a.near, b.near);
    b.far.on('error', () => undefined);
    const send = setInterval(() => b.far.write(Buffer.alloc(100)), 1);
    a.far.end();
    await once(b.near, 'finish');
    a.near.destroy();
    await done;
    clearInterval(send);
    expect(b.near.destroyed).toBe(true);
  });
  it('gives the other side what came before the cut', async () => {
    const { stream, take, taken } = slowStream();
    const a = pipe();
    const done = joinStreams(a.near, stream);
    a.far.write('first, ');
    await taken('first, ');
    a.far.write('second');
    await taken('first, ', () => stream.writableLength > 7);
    const cut = new Promise((resolve) => a.near.once('close', resolve));
    a.near.destroy(new Error('reset'));
    await cut;
    take();
    await taken('first, second');
    expect(stream.destroyed).toBe(false);
    while (!stream.destroyed) {
      take();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stream.writableEnded).toBe(false);
    await done;
  });

  describe('that nobody takes any more', () => {
    it('are destroyed when there was time enough since the one it is for has left', async () => {
      const { stream, taken } = slowStream();
      const a = pipe();
      const left = new AbortController();
      const done = joinStreams(a.near, stream, { left: left.signal, lingerMs: 1 });
      a.far.end('words');
      await taken('words');
      a.near.destroy();
      expect(stream.destroyed).toBe(false);
      left.abort();
      await done;
      expect(stream.destroyed).toBe(true);
    });
    it('are destroyed at once when all is to end, now or before', async () => {
      const { stream, taken } = slowStream();
      const a = pipe();
      const stop = new AbortController();
      const done = joinStreams(a.near, stream, { stop: stop.signal });
      a.far.write('words');
      await taken('words');
      stop.abort();
      await done;
      const [c, d] = [pipe(), pipe()];
      await joinStreams(c.near, d.near, { stop: stop.signal });
      expect([c.near.destroyed, d.near.destroyed]).toEqual([true, true]);
    });
  });
});

/** Takes a chunk each time `take` is called. */
function slowStream(): {
  stream: Duplex;
  take: () => void;
  /** Resolves when all that was given to it is this text, and `also` holds. */
  taken: (text: string, also?: () => boolean) => Promise<void>;
} {
  let given = '';
  let take: () => void = () => undefined;
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      given += chunk.toString();
      take = done;
    },
  });
  return {
    stream,
    take: () => {
      take();
    },
    taken: async (text, also = () => true) => {
      while (given !== text || !also()) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
