import { describe, expect, it } from 'vitest';
import type { StoreReport } from '../log/slot-driver.ts';
import { authCondition, type AuthStanding } from './auth-condition.ts';

const silent = { trouble: (): undefined => undefined };
const says = (text: string): { trouble(): string } => ({ trouble: () => text });
const storeOf = (report: Partial<StoreReport>): AuthStanding['log'] => ({
  stats: () => ({}) as never,
  store: () => ({ type: 'dir', place: '/x', writes: 'taken', trouble: undefined, figures: {}, ...report }),
});
const well: AuthStanding = {
  log: storeOf({}),
  views: { failure: () => undefined },
  lag: silent,
  contact: { refusal: () => undefined },
  clocks: { ...silent, notice: () => undefined },
  compaction: silent,
  heads: silent,
  secrets: silent,
  forgetting: silent,
  apart: silent,
  telling: silent,
  indexing: silent,
  rotation: silent,
};

describe('an auth server', () => {
  it.each<[string, Partial<AuthStanding>]>([
    ['its store takes no writes', { log: storeOf({ writes: 'refused', trouble: 'no' }) }],
    ['it is behind its store', { lag: says('no') }],
    ['it does not hear from its store', { contact: { refusal: () => 'no' } }],
    ['its clock is wrong', { clocks: { ...says('no'), notice: () => undefined } }],
  ])('sends everybody elsewhere while %s', (_, standing) => {
    expect(authCondition({ ...well, ...standing })).toEqual({ status: 'not serving', reason: 'no' });
  });
  it('and while its folds stand still', () => {
    expect(authCondition({ ...well, views: { failure: () => new Error('damaged') } })).toMatchObject({
      status: 'not serving',
      reason: expect.stringContaining('damaged') as string,
    });
  });
  it('serves though upkeep is late or the store is in need of some', () => {
    const condition = authCondition({
      ...well,
      log: storeOf({ trouble: 'nearly full' }),
      compaction: says('no snapshots'),
      heads: says('heads are not signed'),
      secrets: says('keys are not destroyed'),
      forgetting: says('machines are still members'),
      apart: says('logins are kept'),
      telling: says('logins are not told'),
      indexing: says('the index is behind'),
    });
    expect(condition).toEqual({
      status: 'degraded',
      lacks: [
        ...['nearly full', 'no snapshots', 'heads are not signed', 'keys are not destroyed'],
        ...['machines are still members', 'logins are kept', 'logins are not told', 'the index is behind'],
      ],
      notices: [],
    });
  });
  it('serves though a newer release wrote what it cannot read', () => {
    const cluster = { status: 'created', clusterName: 'c', clusterId: '', secondFactor: 'webauthn' } as const;
    const views = { ...well.views, cluster: { state: () => cluster } };
    expect(authCondition({ ...well, views })).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringMatching(/second factor "webauthn".*nobody can log in here/)],
    });
  });
  it('serves and tells what somebody should look at', () => {
    const clocks = { ...silent, notice: () => 'the clocks differ' };
    expect(authCondition({ ...well, clocks })).toEqual({ status: 'serving', notices: ['the clocks differ'] });
  });
});
