import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { CodedError } from '../base/errors.ts';
import { joinStreams } from '../base/join-streams.ts';
import { type FrameType, mostDataBytes } from './frames.ts';
import type { Asked } from './link-options.ts';
import { against, endLinks, never, overSockets, rig, until } from './link-testing.ts';
import { windowBytes } from './link-stream.ts';

afterEach(endLinks);

describe('a link', () => {
  it('carries streams both ways, each end of one by itself', async () => {
    const { open, a, b } = rig();
    const [near, far] = await open();
    near.end('from here');
    expect(await text(far)).toBe('from here');
    far.end('from there');
    expect(await text(near)).toBe('from there');
    await until(() => a.streams + b.streams === 0);
  });
  it('opens streams from either end, over sockets as well', async () => {
    const { a, b, open } = await overSockets();
    const [near, far] = await open();
    const bytes = Buffer.alloc(5 * windowBytes, 'abcdefg');
    const got = buffer(far);
    await Promise.all([
      pipeline(
        async function* () {
          yield bytes;
          await turn();
        },
        near,
        { end: true },
      ),
      got,
    ]);
    expect((await got).equals(bytes)).toBe(true);
    await expect(b.open({}, never)).rejects.toMatchObject({ code: 'not_found' });
    far.end();
    near.resume();
    await until(() => a.streams + b.streams === 0);
  });
  it('joins with other streams, and takes their end and their death along', async () => {
    const { open, a, b } = rig();
    const [near, far] = await open();
    const [local, other] = duplexPair();
    const joined = joinStreams(far, local);
    near.end('ping');
    expect(await text(other)).toBe('ping');
    other.end('pong');
    expect(await text(near)).toBe('pong');
    await joined;
    const [near2, far2] = await open();
    const [local2, other2] = duplexPair();
    const joined2 = joinStreams(far2, local2);
    near2.destroy();
    await joined2;
    expect(local2.destroyed).toBe(true);
    other2.destroy();
    await until(() => a.streams + b.streams === 0);
  });
  it('resets the other end of a stream that is destroyed, and fails the write that waits', async () => {
    const { open } = rig();
    const [near, far] = await open();
    const failed = new Promise<Error | null | undefined>((resolve) => {
      near.write(Buffer.alloc(2 * windowBytes), resolve);
    });
    await until(() => far.readableLength === windowBytes);
    far.destroy();
    await once(near, 'close');
    expect(await failed).toBeInstanceOf(Error);
    expect(near.readableEnded).toBe(false);
  });
  it('holds a window of a stream that nobody reads, and carries another one on', async () => {
    const { open } = await overSockets();
    const [stuck, unread] = await open();
    stuck.write(Buffer.alloc(4 * windowBytes));
    await until(() => unread.readableLength === windowBytes);
    const [near, far] = await open();
    const got = buffer(far);
    near.end(Buffer.alloc(8 * windowBytes));
    expect((await got).length).toBe(8 * windowBytes);
    expect(unread.readableLength).toBe(windowBytes);
    unread.resume();
    await once(stuck, 'drain');
  });
  it('goes on when all that is held is read at once', async () => {
    const { open } = rig();
    const [near, far] = await open();
    near.end(Buffer.alloc(3 * windowBytes));
    await until(() => far.readableLength === windowBytes);
    let bytes = 0;
    far.on('readable', () => {
      for (let part = far.read() as Buffer | null; part !== null; part = far.read() as Buffer | null)
        bytes += part.length;
    });
    await once(far, 'end');
    expect(bytes).toBe(3 * windowBytes);
  });
  it('gives what comes in one turn as one piece, and what was sent back to its sender', async () => {
    const { near, far, open } = await overSockets();
    const [from, to] = await open();
    const pieces: Buffer[] = [];
    to.on('data', (piece: Buffer) => pieces.push(piece));
    far.pause();
    const sent = [1, 2, 3].map((n) => Buffer.alloc(10_000, n));
    for (const piece of sent) from.write(piece);
    await until(() => near.writableLength === 0);
    far.resume();
    await until(() => Buffer.concat(pieces).length === 30_000);
    expect(Buffer.concat(pieces)).toEqual(Buffer.concat(sent));
    expect(pieces.length).toBeLessThan(3);
    // Over a socket memory is free when the write is called back; between two ends in one process it is not.
    expect(from).toHaveProperty('copiesWhatIsWritten', true);
    const [other] = await rig().open();
    expect(other).toHaveProperty('copiesWhatIsWritten', false);
  });

  it('is called back about a write when the connection has taken it', async () => {
    const { link, far, send } = against({ end: 'dialler' });
    const opening = link.open('x', never);
    send('accept', 1);
    const stream = await opening;
    far.pause();
    let done = 0;
    const write = (): void => void stream.write(Buffer.alloc(windowBytes / 4), () => done++);
    for (let n = 0; n < 4; n++) write();
    await turn();
    expect(done).toBeLessThan(4);
    far.resume();
    await until(() => done === 4);
  });

  it('lets a small stream in between the frames of a large one', async () => {
    const { link, seen, read, send, far, asked, wish } = against();
    send('open', 1, wish);
    send('open', 3, wish);
    await until(() => asked.length === 2);
    const [bulk, small] = asked.map((one) => one.accept()) as [Duplex, Duplex];
    bulk.write(Buffer.alloc(windowBytes));
    small.write('hello');
    read();
    await until(() => seen.some(({ type, stream }) => type === 'data' && stream === 3));
    const before = seen.findIndex(({ type, stream }) => type === 'data' && stream === 3);
    expect(seen.slice(0, before).reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(
      4 * mostDataBytes,
    );
    link.close('done');
    far.destroy();
  });
  it('refuses with the code and the reason', async () => {
    const { a, asked, b } = rig();
    const opening = a.open({ to: 'x' }, never);
    await until(() => asked.length > 0);
    expect(asked[0]?.wish).toEqual({ to: 'x' });
    asked[0]?.refuse(new CodedError('access_denied', 'not\n you'));
    await expect(opening).rejects.toMatchObject({ code: 'access_denied' });
    expect(a.streams + b.streams).toBe(0);
  });
  it.each(['"constructor"', '"__proto__"', '7', 'null', '"no_such_code"'])(
    'takes a refusal with the code %s for one that may pass',
    async (code) => {
      const { link, send, seen, read } = against({ end: 'dialler' });
      read();
      const opening = link.open({}, never);
      await until(() => seen.length > 0);
      send('refuse', 1, Buffer.from(`{"code": ${code}, "message": 5}`));
      await expect(opening).rejects.toMatchObject({ code: 'unavailable', message: 'it was refused' });
    },
  );
  it('tells the other end that whoever asked has left', async () => {
    const { a, b, asked } = rig();
    const leaving = new AbortController();
    const opening = a.open({}, leaving.signal);
    await until(() => asked.length > 0);
    leaving.abort();
    await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
    await until(() => asked[0]?.signal.aborted === true);
    const late = asked[0]?.accept();
    expect(late?.destroyed).toBe(true);
    asked[0]?.refuse(new CodedError('unavailable', 'too late'));
    expect(a.streams + b.streams).toBe(0);
    expect(a.usable && b.usable).toBe(true);
  });
  it('waits for an answer for a time, and tells the other end that nobody does any more', async () => {
    const { a, asked } = rig({}, { answerMs: 20 });
    await expect(a.open('x', never)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'the other end has not answered in time' },
    });
    await until(() => asked[0]?.signal.aborted === true);
    expect(a.streams).toBe(0);
  });

  it('is told by whoever accepts a stream what it is', async () => {
    const { a, asked } = rig();
    const [opening, plain] = [a.open('x', never), a.open('y', never)];
    await until(() => asked.length === 2);
    asked[0]?.accept({ session: 'one' });
    asked[1]?.accept();
    expect([(await opening).told, (await plain).told]).toEqual([{ session: 'one' }, undefined]);
  });

  it('that is dismissed loses its streams at once, and the other end reads what it was told', async () => {
    const heard: unknown[] = [];
    const { a, b, open, asked } = rig({}, { onNotice: (said) => heard.push(said) });
    const [near, far] = await open();
    const waiting = a.open('x', never);
    await until(() => asked.length === 1);
    const closed = once(near, 'close');
    b.notify({ refused: 'locked' });
    b.dismiss('locked');
    expect(far.destroyed).toBe(true);
    await closed;
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    expect(await b.closed).toBe('locked');
    expect(heard).toEqual([{ refused: 'locked' }]);
    expect(asked[0]?.signal.aborted).toBe(true);
  });

  it('keeps the stream of one who accepts twice', async () => {
    const { open, a, asked } = rig();
    const opening = a.open({}, never);
    await until(() => asked.length > 0);
    const [one] = asked.splice(0) as [Asked];
    const [first, again] = [one.accept(), one.accept()];
    const near = await opening;
    expect(again.destroyed).toBe(true);
    near.end('still here');
    expect(await text(first)).toBe('still here');
    await open();
  });
  it.each<readonly [string, readonly (readonly [FrameType, number, string])[]]>([
    ['a stream of the other parity', [['open', 2, '{}']]],
    ['stream 0', [['open', 0, '{}']]],
    [
      'a number twice',
      [
        ['open', 1, '{}'],
        ['reset', 1, ''],
        ['open', 1, '{}'],
      ],
    ],
    [
      'a number below the last',
      [
        ['open', 5, '{}'],
        ['open', 3, '{}'],
      ],
    ],
  ])('ends when the other end opens %s', async (_what, frames) => {
    const { link, send } = against();
    for (const [type, stream, body] of frames) send(type, stream, Buffer.from(body));
    expect(await link.closed).toMatch(/not its to open/);
  });
});
