import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex, duplexPair } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { joinStreams } from '../base/join-streams.ts';
import { frame, frameHeader, FrameReader, type FrameType, mostDataBytes } from './frames.ts';
import { type Asked, Link, type LinkOptions } from './link.ts';
import { windowBytes } from './link-stream.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
const never = new AbortController().signal;
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await turn();
};

function linked(
  connections: readonly [Duplex, Duplex],
  there: Partial<LinkOptions>,
  here: Partial<LinkOptions>,
) {
  const asked: Asked[] = [];
  const a = new Link(connections[0], { end: 'dialler', ...here });
  const b = new Link(connections[1], { end: 'acceptor', onAsked: (one) => asked.push(one), ...there });
  ends.push(() => {
    a.close('the test is over');
    b.close('the test is over');
  });
  /** A stream and its other end. */
  const open = async (): Promise<readonly [Duplex, Duplex]> => {
    const opening = a.open({ to: 'x' }, never);
    await until(() => asked.length > 0);
    const far = (asked.shift() as Asked).accept();
    return [await opening, far];
  };
  return { a, b, asked, open };
}
const rig = (there: Partial<LinkOptions> = {}, here: Partial<LinkOptions> = {}) =>
  linked(duplexPair(), there, here);

async function overSockets() {
  const server: Server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  return { ...linked([near, far], {}, {}), near, far };
}

/** A link whose other end is the test: it writes frames, and sees those that come. */
function against(options: Partial<LinkOptions> = {}) {
  const [near, far] = duplexPair();
  const asked: Asked[] = [];
  const link = new Link(near, { end: 'acceptor', onAsked: (one) => asked.push(one), ...options });
  const seen: { type: FrameType; stream: number; body: Buffer }[] = [];
  const reader = new FrameReader((one) => seen.push(one));
  const read = (): void =>
    void far.on('data', (chunk: Buffer) => {
      reader.push(chunk);
    });
  const send = (type: FrameType, stream: number, body?: Buffer): void =>
    void far.write(frame(type, stream, body));
  const wish = Buffer.from('{}');
  far.on('error', () => undefined);
  near.once('close', () => far.destroy());
  ends.push(() => {
    link.close('the test is over');
  });
  return { link, asked, seen, read, send, far, wish };
}

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
  it('ends when the other end sends more than the window, or after its end', async () => {
    const more = against();
    more.send('open', 1, more.wish);
    await until(() => more.asked.length > 0);
    more.asked[0]?.accept();
    for (let sent = 0; sent <= windowBytes; sent += mostDataBytes)
      more.send('data', 1, Buffer.alloc(mostDataBytes));
    expect(await more.link.closed).toMatch(/window/);
    const after = against();
    after.send('open', 1, after.wish);
    await until(() => after.asked.length > 0);
    after.asked[0]?.accept();
    after.send('end', 1);
    after.send('data', 1, Buffer.from('x'));
    expect(await after.link.closed).toMatch(/window/);
  });
  it('ignores what concerns streams that it does not have, and JSON that is none', async () => {
    const said: unknown[] = [];
    const { link, send, seen, read } = against({ onNotice: (one) => said.push(one) });
    read();
    for (const type of ['accept', 'refuse', 'data', 'end', 'reset'] as const)
      for (const id of [0, 1, 2, 2 ** 32 - 1]) send(type, id);
    send('credit', 9, Buffer.alloc(4, 0xff));
    send('notice', 0, Buffer.from('{'));
    send('notice', 0, Buffer.from('5'));
    send('ping', 0, Buffer.from('are you there'));
    await until(() => seen.length > 0);
    expect(seen).toMatchObject([{ type: 'pong', body: Buffer.from('are you there') }]);
    expect(said).toEqual([undefined, 5]);
    expect(link.usable).toBe(true);
  });
  it('takes credit without end, and sends no more than it has', async () => {
    const { send, seen, read, asked, wish } = against();
    read();
    send('open', 1, wish);
    await until(() => asked.length > 0);
    const stream = asked[0]?.accept();
    for (let n = 0; n < 50; n++) send('credit', 1, Buffer.alloc(4, 0xff));
    stream?.end(Buffer.alloc(3 * windowBytes));
    await until(() => seen.some(({ type }) => type === 'end'));
    expect(seen.filter(({ type }) => type === 'data').reduce((sum, { body }) => sum + body.length, 0)).toBe(
      3 * windowBytes,
    );
  });
  it('refuses the stream that is one too many', async () => {
    const { send, seen, read, asked, link } = against();
    read();
    for (let n = 0; n <= 4096; n++) send('open', 2 * n + 1, Buffer.from('{}'));
    await until(() => seen.length > 0);
    expect(asked).toHaveLength(4096);
    expect(seen).toMatchObject([{ type: 'refuse', stream: 8193 }]);
    expect(JSON.parse(String(seen[0]?.body))).toMatchObject({ code: 'limit_exceeded' });
    expect(link.streams).toBe(4096);
  });
  it('ends when answers pile up that the other end does not read', async () => {
    const { link, far } = against();
    const ping = frame('ping', 0, Buffer.alloc(8000));
    let sent = 0;
    const closed = link.closed.then((reason) => ({ reason }));
    let ended: { reason: string } | undefined;
    void closed.then((one) => (ended = one));
    while (ended === undefined) {
      far.write(ping);
      sent += ping.length;
      await turn();
    }
    expect(ended.reason).toBe('the other end takes nothing');
    expect(sent).toBeLessThan(5 * 1024 * 1024);
  });
  it('ends after silence, and not while something is heard', async () => {
    let now = 0;
    const { link, send, seen, read } = against({ end: 'dialler', monotonic: () => now, signsEveryMs: 2 });
    read();
    await until(() => seen.some(({ type }) => type === 'ping'));
    now = 4;
    send('pong', 0);
    await until(() => seen.filter(({ type }) => type === 'ping').length > 2);
    expect(link.usable).toBe(true);
    now = 9;
    expect(await link.closed).toMatch(/nothing was heard/);
    await expect(link.open({}, never)).rejects.toMatchObject({ code: 'unavailable' });
  });
  it('refuses what is being opened, and closes what is open, when the connection dies', async () => {
    const { a, open, near: socket, asked } = await overSockets();
    const [near, far] = await open();
    const opening = a.open({}, never);
    const refused = expect(opening).rejects.toMatchObject({ code: 'unavailable' });
    await until(() => asked.length > 0);
    const closed = Promise.all([once(near, 'close'), once(far, 'close')]);
    socket.destroy();
    await Promise.all([refused, closed]);
    await until(() => asked[0]?.signal.aborted === true);
  });
  it('opens nothing after it was told to leave, tells that once, and ends with its last stream', async () => {
    let left = 0;
    const { open, a, b } = rig({ onLeave: () => left++ });
    const [near, far] = await open();
    a.drain('it was drained');
    a.leave();
    await until(() => left > 0);
    expect([a.usable, b.usable]).toEqual([false, false]);
    await expect(b.open({}, never)).rejects.toMatchObject({ code: 'unavailable' });
    near.end('last words');
    far.end();
    near.resume();
    expect(await text(far)).toBe('last words');
    expect(await a.closed).toBe('it was drained');
    expect(left).toBe(1);
  });
  it('tells once that the other end leaves, however often that says so', async () => {
    let left = 0;
    const { send, seen, read } = against({ onLeave: () => left++ });
    read();
    for (let n = 0; n < 5; n++) send('leave', 0);
    send('ping', 0);
    await until(() => seen.length > 0);
    expect(left).toBe(1);
  });
  it.each<
    readonly [
      string,
      (rigged: ReturnType<typeof rig>, opening: Promise<unknown>, left: AbortController) => void,
    ]
  >([
    ['is refused', ({ asked }) => asked[0]?.refuse(new CodedError('unavailable', 'no'))],
    ['is not wanted any more', (_rig, _opening, left) => left.abort()],
  ])('ends when it is drained and the last one that asked %s', async (_what, act) => {
    const rigged = rig();
    const left = new AbortController();
    const opening = rigged.a.open({}, left.signal).catch(() => undefined);
    await until(() => rigged.asked.length > 0);
    rigged.a.drain('drained here');
    rigged.b.drain('drained there');
    act(rigged, opening, left);
    expect([await rigged.a.closed, await rigged.b.closed]).toContainEqual(expect.stringMatching(/^drained/));
    await opening;
  });
  it('loses nothing of its last stream when it ends with something unread', async () => {
    const { open, near: socket, b } = await overSockets();
    const [near, far] = await open();
    // What b does not read any more when it has ended.
    const noise = setInterval(() => socket.write(frame('ping', 0, Buffer.alloc(8000))), 0);
    ends.push(() => {
      clearInterval(noise);
    });
    near.end();
    far.resume();
    await once(far, 'end');
    const got = buffer(near);
    b.drain('drained');
    far.end(Buffer.alloc(2 * windowBytes));
    expect((await got).length).toBe(2 * windowBytes);
    expect(await b.closed).toBe('drained');
  });
  it('notices of any use fit, and what is too large is refused where it is written', () => {
    const { a } = rig();
    a.notify({
      proxies: Array.from({ length: 64 }, () => ({ hostId: 'x'.repeat(36), address: 'y'.repeat(300) })),
    });
    expect(() => {
      a.notify('z'.repeat(40_000));
    }).toThrow(expect.objectContaining({ code: 'too_large' }));
  });
  it('ends on bytes that are no frames', async () => {
    const { link, far } = against();
    far.write(frameHeader('credit', 1, 5));
    expect(await link.closed).toMatch(/credit/);
  });
});
