import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import type { Connection } from './connection.ts';
import { type Act, Peers } from './peers.ts';

/** Begins with the first. */
const world = { randomBytes: (count: number) => new Uint8Array(count) };

type Ends = readonly (string | Error)[];

/** Peers that answer in the given order, each to the calls it gets, and who was asked and renewed. */
function setUp(
  ends: Record<string, Ends>,
  hasToken = true,
): { peers: Peers; log: string[]; act: Act<string> } {
  const log: string[] = [];
  const left = new Map(Object.entries(ends).map(([name, all]) => [name, [...all]]));
  const connections = Object.keys(ends).map((name): Connection => ({
    name,
    client: name as never,
    renewToken: () => {
      log.push(`renew ${name}`);
      return hasToken;
    },
    close: () => undefined,
  }));
  const act: Act<string> = (client) => {
    const name = client as unknown as string;
    log.push(name);
    const end = left.get(name)?.shift() ?? '';
    return end instanceof Error ? Promise.reject(end) : Promise.resolve(end);
  };
  return { peers: new Peers(connections, world), log, act };
}
const away = new Error('14 UNAVAILABLE: No connection established');
const silent = new Error('4 DEADLINE_EXCEEDED: Deadline exceeded');
const full = new Error('8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded');
const old = new Error('2 UNKNOWN: auth: revision in header is old');

describe('a call', () => {
  it('goes to the others when one is away, and the next begins with who answered', async () => {
    const { peers, log, act } = setUp({ a: [away], b: ['one', 'two'] });
    expect(await peers.call(act)).toBe('one');
    expect(await peers.call(act)).toBe('two');
    expect(log).toEqual(['a', 'b', 'b']);
    expect(peers.counters).toEqual({ calls: 2, failovers: 1, unanswered_writes: 0 });
  });

  it('that may have written goes to nobody else, and the next begins with another', async () => {
    const { peers, log, act } = setUp({ a: [silent], b: ['one'] });
    await expect(peers.write(act)).rejects.toMatchObject({ code: 'ambiguous' });
    expect(log).toEqual(['a']);
    await peers.call(act);
    expect(log).toEqual(['a', 'b']);
    expect(peers.counters.unanswered_writes).toBe(1);
  });

  it('that writes goes to another when it never left', async () => {
    const { peers, act } = setUp({ a: [away], b: ['one'] });
    expect(await peers.write(act)).toBe('one');
  });

  it('that only reads goes to another whatever came of it, and names all when nobody answers', async () => {
    const { peers, act } = setUp({ a: [silent], b: [away] });
    await expect(peers.call(act)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'no peer of etcd answers: a: Deadline exceeded; b: no connection could be made in time',
    });
  });

  it('that is refused is not tried at another', async () => {
    const { peers, log, act } = setUp({ a: [full], b: ['one'] });
    await expect(peers.call(act)).rejects.toMatchObject({ code: 'no_space' });
    expect(log).toEqual(['a']);
  });

  it('is refused when the store is closed', async () => {
    const { peers, log, act } = setUp({ a: ['one'] });
    peers.close();
    await expect(peers.call(act)).rejects.toMatchObject({ code: 'unavailable' });
    expect(log).toEqual([]);
  });
});

describe('a call whose token is no longer good', () => {
  it('is made once more with a new one', async () => {
    const { peers, log, act } = setUp({ a: [old, 'one'] });
    expect(await peers.write(act)).toBe('one');
    expect(log).toEqual(['a', 'renew a', 'a']);
  });

  it('is not made a third time', async () => {
    const { peers, log, act } = setUp({ a: [old, old, 'one'] });
    await expect(peers.call(act)).rejects.toThrow(/revision in header is old/);
    expect(log).toEqual(['a', 'renew a', 'a']);
  });

  it('is not made again when there is no name to log in with', async () => {
    const { peers, log, act } = setUp({ a: [new Error('etcdserver: user name is empty'), 'one'] }, false);
    await expect(peers.call(act)).rejects.toMatchObject({ code: 'misconfigured' });
    expect(log).toEqual(['a', 'renew a']);
  });

  it('may have been carried out the first time, whatever keeps the second from being sent', async () => {
    const { peers, act } = setUp({ a: [old, away], b: ['one'] });
    await expect(peers.write(act)).rejects.toMatchObject({
      code: 'ambiguous',
      refusal: { code: 'unavailable' },
    });
  });
});

describe('a refusal', () => {
  it('is for the operator while the store is opened, and may pass later', async () => {
    const denied = new Error('7 PERMISSION_DENIED: etcdserver: permission denied');
    const noPassword = new CodedError('misconfigured', 'etcd refuses username and password');
    const { peers, act } = setUp({ a: [denied, noPassword, denied, noPassword] });
    for (let n = 0; n < 2; n++)
      await expect(peers.call(act)).rejects.toMatchObject({ code: 'misconfigured' });
    peers.opening = false;
    for (let n = 0; n < 2; n++) await expect(peers.call(act)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('of a write says what it was when it may have come too late', async () => {
    const { peers, act } = setUp({ a: [full] });
    await expect(peers.write(act)).rejects.toMatchObject({
      code: 'ambiguous',
      refusal: { code: 'no_space' },
    });
  });
});

describe('the first peer', () => {
  it('is not the same for everybody', async () => {
    const log: string[] = [];
    const connections = ['a', 'b', 'c'].map((name) => ({
      name,
      client: name as never,
      renewToken: () => false,
      close: () => undefined,
    }));
    for (const byte of [0, 1, 5])
      await new Peers(connections, { randomBytes: () => Uint8Array.of(byte) }).call((client) => {
        log.push(client as never);
        return Promise.resolve('');
      });
    expect(log).toEqual(['a', 'b', 'c']);
  });
});

describe('a peer that is mute', () => {
  it('is not waited for alone, and the next call begins with who answered', async () => {
    vi.useFakeTimers();
    const { peers, act, log } = setUp({ a: [], b: ['one', 'two'] });
    const mute: Act<string> = (client, options) =>
      client === ('a' as never) ? new Promise(() => undefined) : act(client, options);
    const first = peers.call(mute);
    await vi.advanceTimersByTimeAsync(500);
    expect(await first).toBe('one');
    expect(await peers.call(mute)).toBe('two');
    expect(log).toEqual(['b', 'b']);
    vi.useRealTimers();
  });
});

describe('asking every peer', () => {
  it('answers what those said that did', async () => {
    const { peers, act } = setUp({ a: [away], b: ['one'], c: ['two'] });
    expect(await peers.all(act)).toEqual(['one', 'two']);
  });

  it('fails, naming all, when none did', async () => {
    const { peers, act } = setUp({ a: [away], b: [silent] });
    await expect(peers.all(act)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/a: no connection.*b: Deadline/) as string,
    });
  });
});

describe('the peer for a stream', () => {
  it('is who answered last, and after failures the ones behind it', async () => {
    const { peers, act } = setUp({ a: [away], b: ['one'], c: [] });
    await peers.call(act);
    expect([0, 1, 2, 3].map((failures) => peers.forStream(failures)?.name)).toEqual(['b', 'c', 'a', 'b']);
    peers.close();
    expect(peers.forStream(0)).toBeUndefined();
  });
});
