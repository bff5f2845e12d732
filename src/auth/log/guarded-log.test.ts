import { describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import type { ClusterLog, EventLog } from '../../log/event-log.ts';
import { guardedLog } from './guarded-log.ts';

/** Answers each call with what it was asked. */
const echo = (own: Readonly<Record<string, unknown>>): object =>
  new Proxy(own, {
    get: (of, method: string) => of[method] ?? ((...asked: unknown[]): unknown => [method, ...asked]),
  });
const partition = echo({}) as EventLog;
const inner = echo({ state: partition, presence: partition, audit: partition }) as ClusterLog;

type Calls = Readonly<Record<string, (...asked: unknown[]) => unknown>>;
const callsOf = (guarded: object): Calls => guarded as Calls;
const refuse = (): never => {
  throw new CodedError('unavailable', 'the clock is wrong');
};

const ofPartition: Readonly<Record<string, readonly unknown[]>> = {
  append: [['writes'], 'cause', { id: 'id' }],
  appended: ['id', 7],
  read: ['user-a', 2, 7],
  revision: ['user-a', 7],
  history: [7, 9],
  partsWith: ['terms', [['a']], 7],
  indexTerms: ['terms'],
  positionBefore: ['2026-01-01T00:00:00.000Z'],
  head: [],
  unseal: ['event', 'name'],
  destroySecrets: ['event'],
  destroyKeys: [['key']],
  follow: [7],
  snapshot: ['users.3'],
};
const ofCluster: Readonly<Record<string, readonly unknown[]>> = {
  takeSnapshot: ['state', ['views'], { trim: true }, 'cause'],
  growth: ['state'],
  inspect: ['state'],
  recovery: ['state'],
  recover: ['state', 'give back', 'cause'],
  stats: [],
  store: [],
  close: [],
};
const writing = new Set(['append', 'indexTerms', 'takeSnapshot', 'recover']);

describe('the log of a server whose clock may be wrong', () => {
  it.each(Object.entries(ofPartition))('passes on all of %s', async (method, asked) => {
    const { state } = guardedLog(inner, () => undefined);
    expect(await callsOf(state)[method]?.(...asked)).toEqual([method, ...asked]);
  });
  it.each(Object.entries(ofCluster))('passes on all of %s', async (method, asked) => {
    const log = guardedLog(inner, () => undefined);
    expect(await callsOf(log)[method]?.(...asked)).toEqual([method, ...asked]);
  });
  it('has the archive of what it guards', () => {
    const archive = { keptMs: 1 };
    const log = echo({ state: partition, presence: partition, audit: partition, archive }) as ClusterLog;
    expect(guardedLog(log, () => undefined).archive).toBe(archive);
  });
  it('takes nothing while it is wrong, and serves all that it has', async () => {
    const log = guardedLog(inner, refuse);
    const refused: string[] = [];
    for (const [of, methods] of [
      [log.audit, ofPartition],
      [log, ofCluster],
    ] as const)
      for (const [method, asked] of Object.entries(methods))
        try {
          await callsOf(of)[method]?.(...asked);
        } catch {
          refused.push(method);
        }
    expect(new Set(refused)).toEqual(writing);
  });
});
