import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { second } from '../base/time.ts';
import type { ForwardOpen, SessionRequest, SshConnection } from '../ssh/cert-server.ts';
import type { Grant } from './access-request.ts';
import { ServedConnection, type ServedOptions } from './served-connection.ts';
import type { NodeContext } from './session-context.ts';
import { type TestAudit, testAudit, testChannel, type TestChannel, testSubject } from './testing.ts';

const options: Grant['options'] = {
  maxSessionTtlSeconds: 3600,
  forwardAgent: true,
  portForwarding: true,
  disconnectExpiredCert: false,
  clientIdleTimeoutSeconds: 0,
  maxSessions: 0,
  enterOnFullDisk: false,
  recordSession: 'usual',
} as Grant['options'];
const grantOf = (wish: Partial<Grant['options']> = {}): Grant => ({
  ...{ roles: [], traits: {} },
  ...{ username: 'ann', login: 'joe' },
  options: { ...options, ...wish },
});

let test: TestAudit;
let decide: () => Grant;
let closed: PromiseWithResolvers<undefined>;
let told: string[];
let locks: ServedOptions['lastWords'];
let isSilent: boolean;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  test = testAudit();
  closed = Promise.withResolvers();
  told = [];
  isSilent = false;
  locks = { onConnection: () => undefined, onSession: () => undefined };
});
afterEach(() => {
  vi.useRealTimers();
});

interface Wish {
  readonly roles?: Partial<Grant['options']>;
  /** End of the certificate, in seconds since 1970. */
  readonly validBefore?: bigint;
  readonly mayForward?: boolean;
  readonly mayLend?: boolean;
}
function serve({
  roles = {},
  validBefore = 2n ** 64n - 1n,
  mayForward = true,
  mayLend = true,
}: Wish = {}): ServedConnection {
  decide = () => grantOf(roles);
  const connection = {
    peer: testSubject.peer,
    certificate: { validBefore },
    permits: { pty: true, portForwarding: mayForward, agentForwarding: mayLend },
    closed: closed.promise,
    get wentSilent() {
      return isSilent;
    },
    close: (why: string) => {
      told.push(why);
      closed.resolve(undefined);
    },
  } as unknown as SshConnection;
  const context = {
    ...{ world: test.world, sink: test.sink, audit: test.audit },
    accounts: { find: () => Promise.resolve(undefined) },
    stop: new AbortController().signal,
  } as unknown as NodeContext;
  const lateLocks: ServedOptions['lastWords'] = {
    onConnection: () => locks.onConnection(),
    onSession: (id) => locks.onSession(id),
  };
  return new ServedConnection({
    context,
    connection,
    decide: () => decide(),
    lastWords: lateLocks,
    grant: grantOf(roles),
  });
}

/** Asks for a session; what it answers, and the channel that it has then. */
function openSession(served: ServedConnection): {
  made: TestChannel;
  refused: unknown[];
  ask: (type: string) => string;
} {
  const made = testChannel();
  let answer: (request: SessionRequest) => void = () => undefined;
  const refused: unknown[] = [];
  served.handlers.session?.({
    accept: (onRequest) => {
      answer = onRequest;
      return made.channel;
    },
    reject: (...why: unknown[]) => refused.push(...why),
  });
  const ask = (type: string): string => {
    let outcome = '';
    const request = {
      type,

      accept: () => (outcome = 'accepted'),
      reject: () => (outcome = 'rejected'),
    };
    answer(request as unknown as SessionRequest);
    return outcome;
  };
  return { made, refused, ask };
}
function openForward(served: ServedConnection): unknown[] {
  const refused: unknown[] = [];
  served.handlers.forward?.({
    target: { host: 'db', port: 1 },
    reject: (...why: unknown[]) => refused.push(...why),
  } as unknown as ForwardOpen);
  return refused;
}
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const names = (): unknown[] => test.events.map(({ event, reason }) => [event, reason]);

describe('a connection whose client does nothing', () => {
  it('is ended when its roles say so, on record, and not while it does something', async () => {
    const served = serve({ roles: { clientIdleTimeoutSeconds: 10 } });
    await vi.advanceTimersByTimeAsync(9 * second);
    openSession(served);
    await vi.advanceTimersByTimeAsync(9 * second);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(second);
    const reason = 'client is idle for 10s, exceeded idle timeout of 10s';
    expect(told).toEqual([reason]);
    expect(names()).toEqual([['client.disconnect', reason]]);
  });
  it('is told so on each terminal before', async () => {
    const served = serve({ roles: { clientIdleTimeoutSeconds: 10 } });
    const [first, second] = [openSession(served), openSession(served)];
    await vi.advanceTimersByTimeAsync(10_000);
    const text = 'client is idle for 10s, exceeded idle timeout of 10s\n';
    expect([first.made.seen.stderr, second.made.seen.stderr]).toEqual([text, text]);
    expect(names()).toHaveLength(1);
  });
  it('and does not answer either is on record as gone', async () => {
    const served = serve();
    isSilent = true;
    closed.resolve(undefined);
    await served.ended;
    await settle();
    expect(names()).toEqual([['client.disconnect', 'client did not answer keep-alive messages']]);
  });
  it('stays for ever where they do not', async () => {
    serve();
    await vi.advanceTimersByTimeAsync(1_000_000 * second);
    expect(told).toEqual([]);
  });
});

describe('a certificate that ends', () => {
  const validBefore = BigInt(Date.parse('2026-01-01T00:01:00.000Z') / 1000);
  it('ends the connection then, where roles say so', async () => {
    serve({ roles: { disconnectExpiredCert: true }, validBefore });
    await vi.advanceTimersByTimeAsync(60 * second - 1);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual(['the certificate has expired']);
    expect(names()).toEqual([
      ['client.disconnect', 'client certificate expired at 2026-01-01T00:01:00.000Z'],
    ]);
  });
  it('does not where they do not, nor one that never ends', async () => {
    serve({ validBefore });
    serve({ roles: { disconnectExpiredCert: true } });
    await vi.advanceTimersByTimeAsync(3600 * second);
    expect(told).toEqual([]);
  });
});

describe('what changes in the cluster', () => {
  it('ends the connection of somebody who may not be here any more, once', () => {
    const served = serve();
    served.reconsider();
    expect(told).toEqual([]);
    decide = () => {
      throw new CodedError('access_denied', 'the user does not exist');
    };
    served.reconsider();
    served.reconsider();
    expect(told).toEqual(['access was withdrawn']);
    expect(test.events).toMatchObject([]);
    return settle().then(() => {
      expect(names()).toEqual([['client.disconnect', 'the user does not exist']]);
      expect(test.events[0]).toMatchObject({ code: 'T3006I', user: 'ann', login: 'joe' });
    });
  });
  it('reports a lock on each session before it ends the connection', async () => {
    const served = serve();
    const [first, second] = [openSession(served), openSession(served)];
    decide = () => {
      throw new CodedError('access_denied', 'user ann: lock targeting User:"ann" is in force: away');
    };
    locks = { ...locks, onConnection: () => 'lock targeting User:"ann" is in force: away' };
    served.reconsider();
    served.reconsider();
    const text = 'lock targeting User:"ann" is in force: away';
    expect([first.made.seen.stderr, second.made.seen.stderr]).toEqual([`${text}\n`, `${text}\n`]);
    expect(told).toEqual([text]);
    await settle();
    expect(names()).toEqual([['client.disconnect', `user ann: ${text}`]]);
  });
  it('counts for what is asked for next', async () => {
    const served = serve();
    decide = () => grantOf({ portForwarding: false });
    served.reconsider();
    const refused = openForward(served);
    await settle();
    expect(refused).toEqual(['prohibited', 'port forwarding not allowed']);
    expect(test.events).toMatchObject([{ event: 'port', success: false }]);
  });
});

describe('the agent of a person', () => {
  const asked = (wish: Wish): string => openSession(serve(wish)).ask('agent-forwarding');
  it('is lent where both certificate and roles allow it', () => {
    expect(asked({})).toBe('accepted');
    expect(asked({ mayLend: false })).toBe('rejected');
    expect(asked({ roles: { forwardAgent: false } })).toBe('rejected');
  });
  it('is lent no longer when a role has changed', () => {
    const served = serve();
    decide = () => grantOf({ forwardAgent: false });
    served.reconsider();
    expect(openSession(served).ask('agent-forwarding')).toBe('rejected');
  });
});

describe('channels of one connection', () => {
  it('are as many sessions as roles have, and another when one has ended', async () => {
    const served = serve({ roles: { maxSessions: 2 } });
    const [first] = [openSession(served), openSession(served)];
    expect(served.report()).toEqual({ sessions: 2, forwards: 0, ageSeconds: 0 });
    expect(openSession(served).refused).toEqual([
      'prohibited',
      'too many session channels for user "ann" (max=2)',
    ]);
    await settle();
    expect(test.events).toMatchObject([
      { event: 'session.rejected', code: 'T1006W', reason: 'max_sessions limit reached', max: 2 },
    ]);
    first.made.leave();
    await settle();
    expect(served.report().sessions).toBe(1);
    expect(openSession(served).refused).toEqual([]);
    await vi.advanceTimersByTimeAsync(90 * second);
    expect(served.report()).toMatchObject({ sessions: 2, ageSeconds: 90 });
  });
  it('are not limited where roles have no number', () => {
    const served = serve();
    for (let n = 0; n < 5; n++) expect(openSession(served).refused).toEqual([]);
  });
  it('forward nothing that the certificate does not allow', async () => {
    const refused = openForward(serve({ mayForward: false }));
    await settle();
    expect(refused).toEqual(['prohibited', 'port forwarding not allowed']);
    expect(names()).toEqual([['port', undefined]]);
  });
  it('that are refused count until they are on record: a flood of them ends the connection', async () => {
    const disk = Promise.withResolvers<undefined>();
    test = testAudit(() => disk.promise);
    const served = serve({ roles: { portForwarding: false } });
    let asked = 0;
    while (told.length === 0 && asked < 10_000) {
      openForward(served);
      asked++;
    }
    expect(told).toEqual(['too many channels asked for']);
    expect(served.report().forwards).toBe(asked - 1);
    openSession(served);
    expect(served.report().sessions).toBe(0);
    let over = false;
    void served.ended.then(() => (over = true));
    await settle();
    expect(over).toBe(false);
    disk.resolve(undefined);
    await served.ended;
    expect(served.report().forwards).toBe(0);
  });
});

describe('a connection that is closed', () => {
  it('has ended when all that ran on it has, and no limit of it acts later', async () => {
    const served = serve({ roles: { clientIdleTimeoutSeconds: 10 } });
    const { made } = openSession(served);
    closed.resolve(undefined);
    let over = false;
    void served.ended.then(() => (over = true));
    await settle();
    expect(over).toBe(false);
    made.leave();
    await served.ended;
    await vi.advanceTimersByTimeAsync(60 * second);
    expect(told).toEqual([]);
    expect(test.events).toEqual([]);
  });
});
