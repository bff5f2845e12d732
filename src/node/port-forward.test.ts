import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { ForwardOpen } from '../ssh/cert-server.ts';
import { forwardPort, type PortForwardDeps } from './port-forward.ts';
import { type TestAudit, testAudit, testSubject } from './testing.ts';

const dials = vi.hoisted(() => ({
  /** Of the look-up of a name. */
  limit: new AbortController(),
  asked: [] as [{ host: string; port: number }, string][],
  answer: (host: string): unknown => host,
}));
vi.mock(import('../machine/dial-as.ts'), () => ({
  // eslint-disable-next-line @typescript-eslint/require-await -- fails as the true one does: by a rejection
  dialAs: async (target, { user, signal }) => {
    dials.asked.push([target, user.name]);
    if (signal.aborted) throw new Error('the client has left');
    return dials.answer(target.host) as Socket;
  },
}));
vi.mock(import('../base/timers.ts'), async (original) => ({
  ...(await original()),
  signalAfter: () => dials.limit.signal,
}));

const user = { name: 'joe', uid: 1000, gid: 1000 } as OsUser;
let near: Duplex;
let far: Duplex;
let channelNear: Duplex;
let channelFar: Duplex;
let said: unknown[];
let test: TestAudit;
beforeEach(() => {
  [near, far] = duplexPair();
  [channelNear, channelFar] = duplexPair();
  said = [];
  test = testAudit();
  dials.asked = [];
  dials.limit = new AbortController();
  dials.answer = () => near;
});

const left = () => new AbortController();
const depsOf = (wish: Partial<PortForwardDeps> = {}): PortForwardDeps => ({
  audit: test.audit,
  subject: testSubject,
  refusal: () => undefined,
  account: () => Promise.resolve(user),
  libc: { status: 'unavailable', reason: 'a test' },
  lookUpName: () => Promise.resolve(['192.0.2.1']),
  onActivity: () => said.push('activity'),
  left: left().signal,
  stop: left().signal,
  ...wish,
});
const openTo = (host = 'db', port = 5432): ForwardOpen =>
  ({
    target: { host, port },
    accept: () => {
      said.push('accepted');
      return channelNear;
    },
    reject: (...why: unknown[]) => said.push(['rejected', ...why]),
  }) as unknown as ForwardOpen;
const recorded = (): unknown[] =>
  test.events.map(({ event, code, addr, success, error }) => [
    ...[event, code, addr, success],
    ...(error === undefined ? [] : [error]),
  ]);

describe('a forwarded port', () => {
  it('is on record, then open, then carried both ways until both sides have ended', async () => {
    const done = forwardPort(depsOf(), openTo());
    await vi.waitFor(() => {
      expect(said).toEqual(['accepted']);
    });
    expect(recorded()).toEqual([['port', 'T3003I', 'db:5432', true]]);
    expect(test.claims).toEqual([{ happened: false, mayEnter: true }]);
    expect(dials.asked).toEqual([[{ host: '192.0.2.1', port: 5432 }, 'joe']]);
    channelFar.end('question');
    far.end('answer');
    expect(String(await far.toArray())).toBe('question');
    expect(String(await channelFar.toArray())).toBe('answer');
    await done;
    // Bytes of both sides keep the connection from being idle.
    expect(said).toEqual(['accepted', 'activity', 'activity']);
  });

  it.each([
    [
      'roles or certificate do not allow it',
      { refusal: () => 'port forwarding not allowed' },
      'port forwarding not allowed',
    ],
    [
      'the machine does not let the account be used',
      { account: () => Promise.reject(new CodedError('access_denied', 'the account is locked')) },
      'the account is locked',
    ],
  ])('is refused, on record, and nothing is dialled, when %s', async (_what, wish, why) => {
    await forwardPort(depsOf(wish), openTo());
    expect(said).toEqual([['rejected', 'prohibited', why]]);
    expect(recorded()).toEqual([['port', 'T3003E', 'db:5432', false, why]]);
    expect(dials.asked).toEqual([]);
  });

  it('lets a bug in the account be one', async () => {
    const bug = forwardPort(
      depsOf({ account: () => Promise.reject(new TypeError('x is not a function')) }),
      openTo(),
    );
    await expect(bug).rejects.toThrow(TypeError);
  });

  it('tries the addresses of a name in their order, and has the failure of the last', async () => {
    const lookUpName = () => Promise.resolve(['192.0.2.1', '192.0.2.2', '192.0.2.3']);
    dials.answer = (host) => {
      if (host !== '192.0.2.2') throw new Error(`${host} refused`);
      return near;
    };
    void forwardPort(depsOf({ lookUpName }), openTo());
    await vi.waitFor(() => {
      expect(said).toEqual(['accepted']);
    });
    expect(dials.asked.map(([target]) => target.host)).toEqual(['192.0.2.1', '192.0.2.2']);
    dials.answer = (host) => {
      throw new Error(`${host} refused`);
    };
    said = [];
    await forwardPort(depsOf({ lookUpName }), openTo());
    expect(said).toEqual([['rejected', 'connect_failed', '192.0.2.3 refused']]);
    expect(recorded().at(-1)).toEqual(['port', 'T3003E', 'db:5432', false, '192.0.2.3 refused']);
  });

  it('is not dialled on once the client has left', async () => {
    const gone = new AbortController();
    dials.answer = () => {
      gone.abort();
      throw new Error('the client has left');
    };
    const lookUpName = () => Promise.resolve(['192.0.2.1', '192.0.2.2']);
    await forwardPort(depsOf({ lookUpName, left: gone.signal }), openTo());
    expect(dials.asked).toHaveLength(1);
    expect(recorded()).toEqual([['port', 'T3003E', 'db:5432', false, 'the client has left']]);
  });

  it.each([
    ['a name without an address', 5432, () => Promise.resolve([]), 'the name has no address'],
    ['a name that is not known', 5432, () => Promise.reject(new Error('no such host')), 'no such host'],
    ['port 0', 0, undefined, 'no such port: 0'],
    ['a port above 65535', 65_536, undefined, 'no such port: 65536'],
  ] as const)('fails for %s, on record', async (_what, port, lookUpName, why) => {
    await forwardPort(depsOf(lookUpName === undefined ? {} : { lookUpName }), openTo('db', port));
    expect(said).toEqual([['rejected', 'connect_failed', why]]);
    expect(recorded()).toEqual([['port', 'T3003E', `db:${port}`, false, why]]);
    expect(dials.asked).toEqual([]);
  });

  it.each([1, 65_535])('has port %i', async (port) => {
    void forwardPort(depsOf(), openTo('db', port));
    await vi.waitFor(() => {
      expect(said).toEqual(['accepted']);
    });
  });

  it('is given up when a name server says nothing for as long as a look-up may take, or the client leaves', async () => {
    const lookUpName: PortForwardDeps['lookUpName'] = (_name, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('aborted'));
        });
      });
    const done = forwardPort(depsOf({ lookUpName }), openTo());
    await new Promise((resolve) => setImmediate(resolve));
    dials.limit.abort();
    await done;
    const why = 'db cannot be looked up: DNS did not answer within 30 s';
    expect(said).toEqual([['rejected', 'connect_failed', why]]);
    dials.limit = new AbortController();
    const gone = new AbortController();
    const other = forwardPort(depsOf({ lookUpName, left: gone.signal }), openTo());
    await new Promise((resolve) => setImmediate(resolve));
    gone.abort();
    await other;
    expect(said.at(-1)).toEqual(['rejected', 'connect_failed', 'aborted']);
  });

  it('does not happen when it cannot be put on record: the connection that was made is closed', async () => {
    test = testAudit(() => Promise.reject(new CodedError('unavailable', 'the disk is full')));
    await forwardPort(depsOf(), openTo());
    expect(said).toEqual([
      ['rejected', 'resource_shortage', 'cannot be recorded in the audit log: the disk is full'],
    ]);
    expect(near.destroyed).toBe(true);
  });

  it('ends on both sides when what was dialled is reset while it is put on record', async () => {
    const recording = Promise.withResolvers<undefined>();
    test = testAudit(() => recording.promise);
    const done = forwardPort(depsOf(), openTo());
    await vi.waitFor(() => {
      expect(dials.asked).toHaveLength(1);
    });
    const closed = new Promise((resolve) => near.once('close', resolve));
    near.on('error', () => undefined).destroy(new Error('ECONNRESET'));
    await closed;
    recording.resolve(undefined);
    await done;
    expect(said).toEqual(['accepted']);
    expect(channelNear.destroyed).toBe(true);
  });

  it('is cut at once when the node ends', async () => {
    const stop = new AbortController();
    const done = forwardPort(depsOf({ stop: stop.signal }), openTo());
    await vi.waitFor(() => {
      expect(said).toEqual(['accepted']);
    });
    stop.abort();
    await done;
    expect([near.destroyed, channelNear.destroyed]).toEqual([true, true]);
  });
});
