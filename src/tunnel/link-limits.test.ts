import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { CodedError } from '../base/errors.ts';
import { frame, frameHeader, mostDataBytes } from './frames.ts';
import { against, atEnd, endLinks, never, overSockets, rig, until } from './link-testing.ts';
import { windowBytes } from './link-stream.ts';

afterEach(endLinks);

describe('a link', () => {
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
    [
      'is not wanted any more',
      (_rig, _opening, left) => {
        left.abort();
      },
    ],
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
    atEnd(() => {
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
