import { duplexPair, type Duplex, PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingMetrics } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { Link } from '../../tunnel/link.ts';
import type { Asked } from '../../tunnel/link-options.ts';
import { tunnelDialler } from './dial-tunnel.ts';
import { firstOf, type Way } from '../../base/first-of.ts';
import { type HeldLink, HeldLinks } from './held-links.ts';

const hostId = '00000000-0000-4000-8000-000000000001';
const never = new AbortController().signal;
const no = (why: string): CodedError => new CodedError('unavailable', why);
const ends: (() => void)[] = [];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
  vi.useRealTimers();
});

/** A link of a node to this proxy, of which `onAsked` is the node's end. */
function linkOf(onAsked: (asked: Asked) => void, id = hostId): HeldLink {
  const [near, far] = duplexPair();
  const link = new Link(near, { end: 'acceptor' });
  const node = new Link(far, { end: 'dialler', onAsked });
  ends.push(() => {
    link.close('the test is over');
    node.close('the test is over');
  });
  const peer = { hostId: id, role: 'Node', clusterName: 'example', names: [], serial: 1n };
  return { peer, link, client: { host: '192.0.2.1', port: 4711 } };
}
const accepting = (asked: Asked): void => void asked.accept();

describe('the first of several ways', () => {
  /** One that ends as the test says. */
  function way(name: string) {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const state: { signal?: AbortSignal } = {};
    const one: Way = {
      name,
      open: (signal) => {
        state.signal = signal;
        return promise;
      },
    };
    return { one, state, resolve, reject };
  }
  it('is the first that works, and those after one that failed are tried at once', async () => {
    const [a, b, c] = [way('a'), way('b'), way('c')];
    const found = firstOf([a.one, b.one, c.one], never, 500);
    expect(b.state.signal).toBeUndefined();
    a.reject(no('not here'));
    await turn();
    const stream = new PassThrough();
    b.resolve(stream);
    expect(await found).toBe(stream);
    expect(c.state.signal).toBeUndefined();
    expect(b.state.signal?.aborted).toBe(true);
  });
  it('goes beside one that does not answer, whose late stream is closed', async () => {
    const [a, b] = [way('a'), way('b')];
    const found = firstOf([a.one, b.one], never, 500);
    await vi.advanceTimersByTimeAsync(499);
    expect(b.state.signal).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    const [stream, late] = [new PassThrough(), new PassThrough()];
    b.resolve(stream);
    expect(await found).toBe(stream);
    a.resolve(late);
    await turn();
    expect([stream.destroyed, late.destroyed]).toEqual([false, true]);
  });
  it('names why each failed, when all have', async () => {
    const [a, b] = [way('a'), way('b')];
    const found = firstOf([a.one, b.one], never, 500);
    a.reject(no('x'));
    await turn();
    b.reject(no('y'));
    await expect(found).rejects.toMatchObject({ code: 'unavailable', message: 'a: x; b: y' });
    await expect(firstOf([], never, 500)).rejects.toMatchObject({ code: 'unavailable' });
  });
  it('passes a bug on as it is', async () => {
    const a = way('a');
    const found = firstOf([a.one, way('b').one], never, 500);
    a.reject(new TypeError('a bug'));
    await expect(found).rejects.toThrow(TypeError);
  });
});

describe('links that nodes hold here', () => {
  it('are found by the node, the newest first, until they end', async () => {
    const metrics = recordingMetrics();
    const held = new HeldLinks(metrics);
    const [one, two] = [linkOf(accepting), linkOf(accepting)];
    held.hold(one);
    held.hold(two);
    expect(held.usable(hostId)).toBe(two);
    two.link.leave();
    expect(held.usable(hostId)).toBe(one);
    expect([held.size, held.all().length]).toEqual([1, 2]);
    one.link.close('x');
    two.link.close('x');
    await Promise.all([one, two].map(({ link }) => link.closed));
    expect([held.usable(hostId), held.size]).toEqual([undefined, 0]);
  });
  it('are waited for, by several at once, for as long as they say', async () => {
    const held = new HeldLinks(recordingMetrics());
    const waiting = Promise.all([1, 2].map(async () => held.comes(hostId, never, 1000)));
    const patience = held.comes(hostId, never, 10);
    const refused = expect(patience).rejects.toMatchObject({ code: 'unavailable' });
    await vi.advanceTimersByTimeAsync(10);
    await refused;
    const one = linkOf(accepting);
    held.hold(one);
    expect(await waiting).toEqual([one, one]);
    const leaving = new AbortController();
    const left = held.comes('another', leaving.signal, 1000);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'unavailable' });
  });
  it('of one node are limited: the oldest ends', async () => {
    const held = new HeldLinks(recordingMetrics());
    const links = Array.from({ length: 17 }, () => linkOf(accepting));
    for (const one of links) held.hold(one);
    expect(await links[0]?.link.closed).toMatch(/more than 16/);
    expect(held.all()).toEqual(links.slice(1));
  });
});

describe('a stream to a node by tunnels', () => {
  function rig(ways: readonly Way[] = [], isAlive = true) {
    const held = new HeldLinks(recordingMetrics());
    let now = 0;
    const peers = { waysTo: () => ways, unreachable: () => [{ hostId: 'p2', why: 'it is off' }] };
    const dial = tunnelDialler(held, peers, () => isAlive, { monotonic: () => now });
    const open = (signal = never) => dial({ hostId, proxies: [] }, { by: 'alice', signal });
    /** Both clocks. */
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 100) {
        now += 100;
        await vi.advanceTimersByTimeAsync(100);
        for (let n = 0; n < 20; n++) await turn();
      }
    };
    return { held, open, pass };
  }
  it('goes over the link that the node holds here', async () => {
    const { held, open } = rig();
    let asked: unknown;
    held.hold(
      linkOf((one) => {
        asked = one.wish;
        one.accept();
      }),
    );
    (await open()).destroy();
    expect(asked).toEqual({ to: 'own-node' });
  });
  it('goes by another proxy, where there is none', async () => {
    const stream = new PassThrough();
    const { open } = rig([{ name: 'proxy 2', open: async () => Promise.resolve(stream) }]);
    expect(await open()).toBe(stream);
  });
  it('waits for a link that is about to come', async () => {
    const { held, open, pass } = rig();
    const opening = open();
    await pass(3000);
    held.hold(linkOf(accepting));
    (await opening).destroy();
  });
  it('fails in words when none comes in time, at once for a node that is not alive or a client that has left', async () => {
    const { open, pass } = rig();
    const opening = open();
    const failed = expect(opening).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'it hangs on no proxy that this one reaches (there is no way); proxy p2 is not reached: it is off',
    });
    await pass(9000);
    await failed;
    await expect(rig([], false).open()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(rig().open(AbortSignal.abort())).rejects.toMatchObject({ code: 'unavailable' });
  });
  it('does not ask a node without pause that refuses', async () => {
    const { held, open, pass } = rig();
    let times = 0;
    held.hold(
      linkOf((one) => {
        times++;
        one.refuse(no('this node is starting'));
      }),
    );
    const failed = expect(open()).rejects.toMatchObject({ code: 'unavailable' });
    await pass(9000);
    await failed;
    expect(times).toBeGreaterThan(10);
    expect(times).toBeLessThan(20);
  });
});
