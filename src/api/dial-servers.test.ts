import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { type Dialable, dialOneOf } from './dial-servers.ts';
import { fakeWorld } from './testing.ts';

const stream = (): Duplex =>
  new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      done();
    },
  });

interface Fake extends Dialable {
  dialled: number;
  opened: Duplex[];
}
const server = (name: string, connect: () => Promise<Duplex>): Fake => {
  const fake: Fake = {
    name,
    dialled: 0,
    opened: [],
    connect: async () => {
      fake.dialled++;
      const duplex = await connect();
      fake.opened.push(duplex);
      return duplex;
    },
  };
  return fake;
};
const up = (name: string): Fake => server(name, () => Promise.resolve(stream()));
const down = (name: string): Fake =>
  server(name, () => Promise.reject(new CodedError('unavailable', 'refused')));
const silent = (name: string): Fake => server(name, () => new Promise(() => undefined));
const open = new AbortController().signal;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('dialling one of several servers', () => {
  it('takes the next at once when one refuses, and stays with what worked', async () => {
    const servers = [down('a'), up('b')];
    const dial = dialOneOf(servers, fakeWorld());
    await dial(open);
    await dial(open);
    expect(servers.map((one) => one.dialled)).toEqual([1, 2]);
  });

  it('gives a silent one half a second, with the next beside it', async () => {
    const servers = [silent('a'), up('b')];
    const dialled = dialOneOf(servers, fakeWorld())(open);
    await vi.advanceTimersByTimeAsync(499);
    expect(servers[1]?.dialled).toBe(0);
    await vi.advanceTimersByTimeAsync(2);
    expect(await dialled).toBe(servers[1]?.opened[0]);
  });

  it('has tried ten within two seconds', async () => {
    const servers = [...Array.from({ length: 9 }, (_, i) => silent(`s${i}`)), up('last')];
    const dialled = dialOneOf(servers, fakeWorld())(open);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(await dialled).toBe(servers[9]?.opened[0]);
  });

  it('says which were tried and why each failed', async () => {
    await expect(dialOneOf([down('a:1'), down('b:2')], fakeWorld())(open)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'no auth server answers: a:1: refused; b:2: refused',
    });
  });

  it('closes a connection that comes too late', async () => {
    let late: (duplex: Duplex) => void = () => undefined;
    const servers = [server('a', () => new Promise((resolve) => (late = resolve))), up('b')];
    const dialled = dialOneOf(servers, fakeWorld())(open);
    await vi.advanceTimersByTimeAsync(600);
    await dialled;
    const unwanted = stream();
    late(unwanted);
    await vi.advanceTimersByTimeAsync(1);
    expect(unwanted.destroyed).toBe(true);
  });

  it('asks its own each time while that serves, and the servers when it does not', async () => {
    let serves = true;
    const own = server('own', () =>
      serves ? Promise.resolve(stream()) : Promise.reject(new Error('ended')),
    );
    const servers = [up('a')];
    const dial = dialOneOf(servers, fakeWorld(), { own });
    await dial(open);
    await dial(open);
    serves = false;
    await dial(open);
    expect([own.dialled, servers[0]?.dialled]).toEqual([3, 1]);
  });

  it('refuses to have no server', () => {
    expect(() => dialOneOf([], fakeWorld())).toThrow('no auth server is configured');
  });
});

describe('a server that is there but cannot serve', () => {
  it('is passed over: the others come first', async () => {
    const servers = [up('a'), up('b')];
    const dial = dialOneOf(servers, { randomBytes: () => new Uint8Array([0]) });
    await dial(open);
    dial.passOver();
    await dial(open);
    await dial(open);
    expect(servers.map((one) => one.dialled)).toEqual([1, 2]);
  });

  it('is passed over once, however many connections say so, and by the one that does', async () => {
    const servers = [up('a'), up('b'), up('c')];
    const dial = dialOneOf(servers, { randomBytes: () => new Uint8Array([0]) });
    const [first, second] = [await dial(open), await dial(open)];
    dial.passOver(first);
    dial.passOver(second);
    expect(dial.order()).toEqual(['b', 'c', 'a']);
    await dial(open);
    // What is said late of a server that is not used any more changes nothing.
    dial.passOver(first);
    expect(dial.order()).toEqual(['b', 'c', 'a']);
  });

  it('is passed over once when it is that of this process', async () => {
    const own = up('own');
    const servers = [up('a')];
    const dial = dialOneOf(servers, fakeWorld(), { own });
    await dial(open);
    dial.passOver();
    await dial(open);
    expect([own.dialled, servers[0]?.dialled]).toEqual([1, 1]);
    await dial(open);
    expect([own.dialled, servers[0]?.dialled]).toEqual([2, 1]);
  });
});

describe('the limit of a handshake', () => {
  const waiting = (): Dialable & { readonly answer: () => void } => {
    let answer = (): void => undefined;
    return {
      name: 'slow',
      answer: () => {
        answer();
      },
      connect: (signal) =>
        new Promise((resolve, reject) => {
          answer = () => {
            if (!signal.aborted) resolve(stream());
          };
          signal.addEventListener('abort', () => {
            reject(new CodedError('unavailable', 'no answer in time'));
          });
        }),
    };
  };

  it('is longer than a server lets it wait, and over then', async () => {
    const dialled = dialOneOf([waiting()], fakeWorld())(open);
    const failed = expect(dialled).rejects.toThrow('no answer in time');
    let over = false;
    dialled.catch(() => (over = true));
    await vi.advanceTimersByTimeAsync(7_999);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    await failed;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not cut what came while this process was too busy to read it', async () => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const slow = waiting();
    const dialled = dialOneOf([slow], fakeWorld(), { timeoutMs: 1_000 })(open);
    await vi.advanceTimersByTimeAsync(0);
    vi.advanceTimersByTime(1_000);
    slow.answer();
    expect((await dialled).destroyed).toBe(false);
  });
});
