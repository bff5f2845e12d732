import { describe, expect, it } from 'vitest';
import { heartbeat } from '../../api/operations/host.ts';
import { readInvite } from '../../api/operations/invite.ts';
import { uploadRecording } from '../../api/operations/recording.ts';
import { logIn } from '../../api/operations/user.ts';
import { fakeWorld, recordingMetrics, recordingSink } from '../../api/testing.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { hour, minute } from '../../base/time.ts';
import { callerLimits } from './caller-limits.ts';
import { usualQuotas, whoseCalls } from './quota-rules.ts';
import { openQuotas, type Quotas } from './quotas.ts';

const settings = { ...usualQuotas, changes: 60, audit_events: 600, audit_bytes: 6_000, streams: 2 };
const one = { name: 'node:1', factor: 1 };

function setUp(record: () => Promise<number> = () => Promise.resolve(1)) {
  const world = fakeWorld();
  const [sink, metrics] = [recordingSink(), recordingMetrics()];
  const events: Record<string, unknown>[] = [];
  const audit = {
    record: (event: Record<string, unknown>) => {
      events.push(event);
      return record();
    },
  };
  const quotas = openQuotas({ settings, world, sink, metrics, audit, hostId: 'h' });
  return { quotas, world, sink, metrics, events };
}
const refusal = (quotas: Quotas, amounts: Parameters<Quotas['take']>[1], whose = one): CodedError => {
  try {
    quotas.take(whose, amounts);
  } catch (e) {
    if (isCoded(e, 'quota')) return e;
    throw e;
  }
  throw new Error('it was taken');
};

describe('quotas', () => {
  it('say what was used, what is allowed, when to try again and how it is raised; each caller has its own', () => {
    const { quotas, world } = setUp();
    for (let n = 0; n < 10; n++) quotas.take(one, { changes: 1 });
    const refused = refusal(quotas, { changes: 1 });
    expect(refused.retryAfterMs).toBe(minute);
    expect(refused.message).toBe(
      'the quota of changes of what it announces is used up for node:1: 10 of 10 used, 60 come back in an hour; ' +
        'try again in 60 s, or let the operator raise quotas.changes of the auth servers',
    );
    quotas.take({ name: 'node:2', factor: 1 }, { changes: 1 });
    world.advance(minute);
    quotas.take(one, { changes: 1 });
  });

  it('count events and bytes of one batch together, and give back what was not stored', () => {
    const { quotas } = setUp();
    const giveBack = quotas.take(one, { audit_events: 100, audit_bytes: 100 });
    expect(refusal(quotas, { audit_events: 1, audit_bytes: 1 }).message).toContain('quota of audit events');
    giveBack();
    quotas.take(one, { audit_events: 10, audit_bytes: 1_000 });
    expect(refusal(quotas, { audit_events: 1, audit_bytes: 1 }).message).toContain('bytes of audit events');
    // Of the events nothing was taken by that.
    expect(refusal(quotas, { audit_events: 91 }).message).toContain('10 of 100 used');
  });

  it('tell operators once an hour of one machine: in the audit, the log, a counter and the list', async () => {
    const { quotas, world, sink, metrics, events } = setUp();
    quotas.take(one, { changes: 10 });
    for (let n = 0; n < 5; n++) refusal(quotas, { changes: 1 });
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      event: 'quota.exceeded',
      code: 'TQ000W',
      about: 'node:1',
      quota: 'changes',
      refused: 1,
    });
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toHaveLength(1);
    expect(metrics.counters.get('auth_quota_refused_total{"quota":"changes"}')).toBe(5);
    expect(quotas.exceeded()).toEqual([{ who: 'node:1', measure: 'changes', at: world.now(), refused: 4 }]);
    world.advance(hour + 1);
    expect(quotas.exceeded()).toEqual([]);
    quotas.take(one, { changes: 10 });
    refusal(quotas, { changes: 1 });
    expect(events.map((event) => event['refused'])).toEqual([1, 5]);
    await quotas.close();
  });

  it('do not fill the log themselves, however many machines come to their limits', () => {
    const { quotas, world, events } = setUp();
    for (let n = 0; n < 2_000; n++) {
      const whose = { name: `node:${n}`, factor: 1 };
      quotas.take(whose, { changes: 10 });
      refusal(quotas, { changes: 1 }, whose);
    }
    expect(events).toHaveLength(30);
    expect(quotas.exceeded()).toHaveLength(1_000);
    world.advance(hour / 2);
    for (let n = 0; n < 2_000; n++) {
      const whose = { name: `node:x${n}`, factor: 1 };
      quotas.take(whose, { changes: 10 });
      refusal(quotas, { changes: 1 }, whose);
    }
    expect(events).toHaveLength(60);
  });

  it('refuse all the same when the audit takes nothing', async () => {
    const { quotas, sink } = setUp(() => Promise.reject(new CodedError('no_space', 'the store is full')));
    quotas.take(one, { changes: 10 });
    refusal(quotas, { changes: 1 });
    await quotas.close();
    expect(sink.lines.at(-1)).toContain('the store is full');
  });

  it('hold so many places at a time, and free each once', () => {
    const { quotas } = setUp();
    const leave = quotas.hold(one);
    quotas.hold(one);
    expect(() => quotas.hold(one)).toThrow(/2 of 2 are open/);
    quotas.hold({ name: 'node:2', factor: 1 });
    leave();
    leave();
    quotas.hold(one);
    expect(() => quotas.hold(one)).toThrow(/2 of 2 are open/);
  });

  it('measure machines and people, not operators and auth servers', () => {
    const host = (role: 'Admin' | 'Auth' | 'Proxy' | 'Node') =>
      whoseCalls({ kind: 'host', role, hostId: 'h', address: '' });
    expect([host('Admin'), host('Auth'), whoseCalls({ kind: 'anyone', address: '' })]).toEqual([
      ...[undefined, undefined, undefined],
    ]);
    expect(whoseCalls({ kind: 'user', username: 'al', roles: [], address: '' })?.name).toBe('user:al');
    expect([host('Node')?.name, host('Proxy')?.name]).toEqual(['node:h', 'proxy:h']);
  });

  it('count what a proxy calls for itself, not what it calls for the people who come to it', () => {
    const { quotas } = setUp();
    const limits = callerLimits(quotas);
    const proxy = { kind: 'host', role: 'Proxy', hostId: 'h', address: '' } as const;
    for (let n = 0; n < 10_000; n++) limits.call(proxy, logIn);
    for (let n = 0; n < 400; n++) limits.call(proxy, heartbeat);
    expect(() => {
      limits.call(proxy, heartbeat);
    }).toThrow(/quota of calls/);
    limits.call({ ...proxy, role: 'Admin' }, heartbeat);
    limits.call(proxy, readInvite);
  });

  it('count what recorded sessions call apart, so that a heartbeat passes beside two hundred of them', () => {
    const { quotas } = setUp();
    const limits = callerLimits(quotas);
    const node = { kind: 'host', role: 'Node', hostId: 'h', address: '' } as const;
    for (let n = 0; n < 20_000; n++) limits.call(node, uploadRecording);
    expect(() => {
      limits.call(node, uploadRecording);
    }).toThrow(/quota of calls of recorded sessions/);
    for (let n = 0; n < 400; n++) limits.call(node, heartbeat);
  });
});
