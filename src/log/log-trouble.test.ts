import { describe, expect, it } from 'vitest';
import type { PartitionStats } from './event-log.ts';
import { logTrouble, refusesWrites, storeWorry } from './log-trouble.ts';
import type { StoreReport } from './slot-driver.ts';

type Said = Partial<Pick<PartitionStats, 'damage' | 'wentBack' | 'fence'>>;
const log = (
  { state = {}, presence = {}, audit = {} }: Partial<Record<'state' | 'presence' | 'audit', Said>>,
  store: Partial<StoreReport> = {},
) => ({
  stats: () => ({ state, presence, audit }) as never,
  store: (): StoreReport => ({
    ...{ type: 'memory', place: 'here', writes: 'taken', trouble: undefined, figures: {} },
    ...store,
  }),
});
const fence = { status: 'moved', copy: 'c1', reason: 'it has moved' } as const;

describe('the trouble of a log', () => {
  it('is none when all is well', () => {
    expect(logTrouble(log({}))).toBeUndefined();
  });

  it.each(['state', 'presence', 'audit'] as const)('is that of any partition: %s', (name) => {
    expect(logTrouble(log({ [name]: { damage: 'slot 4' } }))).toBe(`the ${name} log is damaged: slot 4`);
    expect(logTrouble(log({ [name]: { wentBack: 'it went back' } }))).toBe('it went back');
    expect(logTrouble(log({ [name]: { fence } }))).toBe('it has moved');
  });

  it('is the worst of several', () => {
    const full = { writes: 'refused', trouble: 'the disk is full' } as const;
    const state = { fence };
    const presence = { wentBack: 'it went back' };
    expect(logTrouble(log({ state, presence, audit: { damage: 'slot 4' } }, full))).toMatch(/^the audit/);
    expect(logTrouble(log({ state, presence }, full))).toBe('it went back');
    expect(logTrouble(log({ state }, full))).toBe('it has moved');
  });

  it('is that of the store, which refuses writes or only worries', () => {
    const full = log({}, { writes: 'refused', trouble: 'the disk is full' });
    expect([refusesWrites(full), storeWorry(full)]).toEqual(['the disk is full', undefined]);
    const silent = log({}, { writes: 'refused' });
    expect(logTrouble(silent)).toBe('the store takes no writes');
    const worried = log({}, { trouble: 'a member is down' });
    expect([refusesWrites(worried), storeWorry(worried)]).toEqual([undefined, 'a member is down']);
    expect(logTrouble(worried)).toBe('a member is down');
  });
});
