import { EventEmitter } from 'node:events';
import type { HttpBindings } from '@hono/node-server';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { type Caller, operation, type Who } from './operation.ts';
import { pingCluster } from './operations/cluster.ts';
import { patienceMs } from './patience.ts';
import { type Implementation, implement, serveOperations } from './serve-operations.ts';
import type { CallerLimits, ServerDeps, Serving } from './server-deps.ts';
import type { ServedLogs } from './served-logs.ts';
import { fakeWorld, noLimits, recordingMetrics, recordingSink } from './testing.ts';

const greet = operation({
  name: 'test.greet',
  who: ['Admin', 'user'],
  resource: 'user',
  verb: 'read',
  input: z.object({ name: z.string().max(5), deep: z.array(z.object({ n: z.number() })).default([]) }),
  output: z.object({ text: z.string() }),
});

const host = (role: 'Admin' | 'Auth' | 'Proxy' | 'Node'): Caller => ({
  kind: 'host',
  hostId: 'h',
  role,
  address: 'a',
});
const user: Caller = { kind: 'user', username: 'alice', roles: [], address: 'a' };
const anyone: Caller = { kind: 'anyone', address: 'a' };

const noSocket = { incoming: {}, outgoing: new EventEmitter() } as unknown as HttpBindings;

function served(
  caller: Caller | (() => Caller),
  implementations: readonly Implementation[],
  limits: CallerLimits = noLimits,
  more: Partial<ServerDeps> = {},
) {
  const sink = recordingSink();
  const metrics = recordingMetrics();
  const app = serveOperations(implementations, {} as ServedLogs, {
    callerOf: typeof caller === 'function' ? caller : () => caller,
    limits,
    world: fakeWorld(),
    sink,
    metrics,
    ...more,
  });
  const post = async (path: string, body: string, headers: Record<string, string> = {}) => {
    const response = await app.request(path, { method: 'POST', body, headers }, noSocket);
    return { status: response.status, body: (await response.json()) as Record<string, string>, response };
  };
  return { post, sink, metrics };
}

const greeting = implement(greet, (call, input) =>
  Promise.resolve({ text: `hello ${input.name} from ${call.caller.kind}`, extra: 'not in the contract' }),
);

describe('calling an operation', () => {
  it('answers, and takes away what the contract does not name', async () => {
    const { post, metrics } = served(user, [greeting]);
    const { status, body } = await post('/v3/test.greet', '{"name":"bob"}');
    expect([status, body]).toEqual([200, { text: 'hello bob from user' }]);
    expect(metrics.counters.get('auth_requests_total{"operation":"test.greet","code":"ok"}')).toBe(1);
  });

  it('is refused over the quota before its body is looked at, but after the guard', async () => {
    const called: Caller[] = [];
    const limits: CallerLimits = {
      ...noLimits,
      call: (caller) => {
        called.push(caller);
        throw new CodedError('quota', 'the quota of calls is used up', { retryAfterMs: 49.2 });
      },
    };
    const { status, body } = await served(user, [greeting], limits).post('/v3/test.greet', 'no JSON');
    expect([status, body]).toEqual([
      429,
      { code: 'quota', message: 'the quota of calls is used up', retryAfterMs: 50 },
    ]);
    expect((await served(anyone, [greeting], limits).post('/v3/test.greet', '{}')).status).toBe(403);
    expect(called).toEqual([user]);
  });

  it('names the field that is wrong', async () => {
    const { post } = served(user, [greeting]);
    const { status, body } = await post(
      '/v3/test.greet',
      '{"name":"much too long","deep":[{"n":1},{"n":"x"}]}',
    );
    expect(status).toBe(400);
    expect(body['code']).toBe('bad_request');
    expect(body['message']).toMatch(/name: .*; deep\.1\.n: /);
  });

  it.each(['', '{', 'null x', '\u0000'])('refuses a body that is not JSON (%j)', async (text) => {
    const { post } = served(user, [greeting]);
    const { status, body } = await post('/v3/test.greet', text);
    expect([status, body]).toEqual([400, { code: 'bad_request', message: 'the body is not JSON' }]);
  });

  it('refuses a body above the limit', async () => {
    const { post } = served(user, [greeting]);
    const { status, body } = await post('/v3/test.greet', 'x'.repeat(3_000_000));
    expect([status, body['code']]).toEqual([413, 'too_large']);
  });

  it('knows no other operation', async () => {
    const { post } = served(user, [greeting]);
    expect((await post('/v3/test.other', '{}')).status).toBe(404);
    expect((await post('/v2/test.greet', '{}')).body['code']).toBe('not_found');
    expect((await post('/v3/__proto__', '{}')).status).toBe(404);
  });

  it('says nothing about a bug but its request id, and logs it', async () => {
    const boom = implement(greet, () => Promise.reject(new Error('password was hunter2')));
    const { post, sink } = served(user, [boom]);
    const id = '11111111-1111-4111-8111-111111111111';
    const { status, body } = await post('/v3/test.greet', '{"name":"bob"}', { 'x-request-id': id });
    expect([status, body]).toEqual([500, { code: 'internal', message: `internal error (request ${id})` }]);
    expect(sink.lines.filter((line) => line.startsWith('error bug')).join()).toContain(id);
  });

  it('passes a coded refusal on with its status', async () => {
    const full = implement(greet, () => Promise.reject(new CodedError('no_space', 'the disk is full')));
    const { status, body, response } = await served(user, [full]).post('/v3/test.greet', '{"name":"bob"}');
    expect([status, body]).toEqual([507, { code: 'no_space', message: 'the disk is full' }]);
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('the guard', () => {
  const ping = implement(pingCluster, () => Promise.resolve({ clusterName: 'c', serverVersion: 'v' }));
  const callers: readonly Caller[] = [anyone, user, host('Admin'), host('Auth'), host('Proxy'), host('Node')];

  it('admits exactly those an operation names', async () => {
    const admitted: Who[] = [];
    for (const caller of callers) {
      const { status } = await served(caller, [greeting]).post('/v3/test.greet', '{"name":"bob"}');
      if (status === 200) admitted.push(caller.kind === 'host' ? caller.role : caller.kind);
      else expect(status).toBe(403);
    }
    expect(admitted).toEqual(['user', 'Admin']);
  });

  it('lets every caller do what anyone may', async () => {
    for (const caller of callers)
      expect((await served(caller, [ping]).post('/v3/cluster.ping', '{}')).status).toBe(200);
  });

  it('refuses before it looks at the input', async () => {
    const { status, body } = await served(anyone, [greeting]).post('/v3/test.greet', 'not even JSON');
    expect([status, body]).toEqual([
      403,
      { code: 'access_denied', message: 'test.greet needs a client certificate' },
    ]);
  });

  it('refuses a caller whose certificate admits nobody, even where anyone may call', async () => {
    const forged = (): Caller => {
      throw new CodedError('access_denied', 'access denied');
    };
    expect((await served(forged, [ping]).post('/v3/cluster.ping', '{}')).status).toBe(403);
  });
});

describe('an operation that takes too long', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const taking = (ms: number) =>
    implement(greet, async ({ deadline }, { name }) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      deadline.begin();
      return { text: name };
    });

  it('is refused two seconds before its caller gives up, when nothing was begun', async () => {
    const { post, sink } = served(user, [taking(8_500)]);
    const answered = post('/v3/test.greet', '{"name":"bob"}');
    await vi.advanceTimersByTimeAsync(patienceMs - 2_000);
    const { status, body } = await answered;
    expect([status, body['code']]).toEqual([503, 'unavailable']);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sink.lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('is waited for when something was', async () => {
    const { post } = served(user, [
      implement(greet, async ({ deadline }, { name }) => {
        deadline.begin();
        await new Promise((resolve) => setTimeout(resolve, 20_000));
        return { text: name };
      }),
    ]);
    const answered = post('/v3/test.greet', '{"name":"bob"}');
    await vi.advanceTimersByTimeAsync(20_000);
    expect((await answered).status).toBe(200);
  });

  it('tells a bug that came up when nobody waited any more', async () => {
    const late = implement(greet, async () => {
      await new Promise((resolve) => setTimeout(resolve, 9_000));
      throw new TypeError('a mistake of ours');
    });
    const { post, sink } = served(user, [late]);
    const answered = post('/v3/test.greet', '{"name":"bob"}');
    await vi.advanceTimersByTimeAsync(9_000);
    expect((await answered).status).toBe(503);
    expect(sink.lines.filter((line) => line.includes('a mistake of ours'))).toHaveLength(1);
  });
});

describe('a server that does not hear from its store', () => {
  const silent = (refusal: string | undefined) => {
    const interrupts: ((reason: string) => void)[] = [];
    const serving: Serving = {
      refusal: () => refusal,
      interruption: (interrupt) => {
        interrupts.push(interrupt);
        return () => undefined;
      },
    };
    return { serving, interrupts };
  };

  it('carries nothing out, and says that it did not', async () => {
    const { serving } = silent('serves nobody');
    const { status, body } = await served(user, [greeting], noLimits, { serving }).post(
      '/v3/test.greet',
      '{"name":"bob"}',
    );
    expect([status, body]).toEqual([
      503,
      { code: 'unavailable', message: 'this auth server serves nobody', outcome: 'nothing' },
    ]);
  });

  it('answers all the same what takes no store', async () => {
    const { serving } = silent('serves nobody');
    const known = implement({ ...greet, withoutStore: true }, () => Promise.resolve({ text: 'known' }));
    const { status } = await served(user, [known], noLimits, { serving }).post(
      '/v3/test.greet',
      '{"name":"b"}',
    );
    expect(status).toBe(200);
  });

  it.each([
    ['waits', false, 'nothing'],
    ['was begun', true, 'unknown'],
  ])('answers at once for what %s', async (_what, begun, outcome) => {
    const { serving, interrupts } = silent(undefined);
    const begins = Promise.withResolvers<undefined>();
    const hanging = implement(greet, (call) => {
      if (begun) call.deadline.begin();
      begins.resolve(undefined);
      return new Promise(() => undefined);
    });
    const answer = served(user, [hanging], noLimits, { serving }).post('/v3/test.greet', '{"name":"b"}');
    await begins.promise;
    for (const interrupt of interrupts) interrupt('this auth server serves nobody');
    expect((await answer).body).toEqual({
      code: 'unavailable',
      message: 'this auth server serves nobody',
      outcome,
    });
  });

  it('begins nothing for a caller who has left', async () => {
    const spent: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    const slow = implement(greet, async (call) => {
      await gate.promise;
      call.deadline.begin();
      spent.push('the token');
      return { text: 'x' };
    });
    const answer = served(user, [slow]).post('/v3/test.greet', '{"name":"b"}');
    await new Promise((resolve) => setImmediate(resolve));
    noSocket.outgoing.emit('close');
    gate.resolve(undefined);
    expect((await answer).body).toMatchObject({ message: 'the caller has left', outcome: 'nothing' });
    expect(spent).toEqual([]);
  });

  it('says which server has no room', async () => {
    const full = implement(greet, () => Promise.reject(new CodedError('no_space', 'the disk of /x is full')));
    const noRoom = (reason: string): string => `auth1: ${reason}`;
    const { status, body } = await served(user, [full], noLimits, { noRoom }).post(
      '/v3/test.greet',
      '{"name":"b"}',
    );
    expect([status, body['message']]).toEqual([507, 'auth1: the disk of /x is full']);
  });
});
