import { describe, expect, it } from 'vitest';
import recordedFacts from '../domain/fixtures/facts.json' with { type: 'json' };
import type { Recorded } from '../log/event.ts';
import { identitiesView, type IdentitiesState, isToAdminister, listedIdentities } from './identities.ts';
import { unreadableOf } from './unreadable.ts';

const signed = (recordedFacts as unknown as readonly Recorded[]).filter(
  ({ fact }) => fact.type === 'identity.signed',
);
const fold = (events: readonly Recorded[]): IdentitiesState =>
  events.reduce((at, event) => identitiesView.apply(at, event), identitiesView.initial);
const [ofUser, ofHost] = [signed[0] ?? expect.unreachable(), signed[1] ?? expect.unreachable()];
const alice = {
  serial: '5639929174067316766',
  username: 'alice',
  lifeId: '019acb00-0000-7000-8000-000000000007',
};

describe('identities that were signed', () => {
  it('are listed while they hold, the one that ends first before the others, through a snapshot', () => {
    const stored = JSON.parse(JSON.stringify(identitiesView.encode(fold(signed)))) as unknown;
    const state = identitiesView.decode(stored);
    const serials = (now: string, all = false): string[] =>
      listedIdentities(state, { now, all }).map(({ serial }) => serial);
    expect(serials('2026-01-02T11:59:59.000Z')).toEqual([alice.serial, '8113888881226659696']);
    expect(serials('2026-01-02T12:00:00.000Z')).toEqual(['8113888881226659696']);
    expect(serials('2028-01-01T00:00:00.000Z')).toEqual([]);
    expect(serials('2028-01-01T00:00:00.000Z', true)).toHaveLength(2);
  });
  it('are forgotten when they ended long ago, so that no reader keeps all there ever were', () => {
    const endOf = (day: number): string => new Date(Date.UTC(2026, 0, day)).toISOString();
    const one = (n: number): Recorded => ({
      ...ofUser,
      position: n,
      stream: `identity-${n}`,
      cause: { ...ofUser.cause, at: endOf(n) },
      fact: { ...ofUser.fact, data: { ...ofUser.fact.data, serial: String(n), expiresAt: endOf(n + 1) } },
    });
    const state = fold(Array.from({ length: 2000 }, (_, n) => one(n + 1)));
    const all = listedIdentities(state, { now: endOf(2000), all: true });
    expect(all.length).toBeLessThan(500);
    const ends = new Set(all.map(({ expiresAt }) => expiresAt));
    // Those of the last 90 days are all there.
    for (let n = 1911; n <= 2000; n++) expect(ends, String(n)).toContain(endOf(n + 1));
  });
  it('administer for the user they were signed for alone, and never for a host', () => {
    const state = fold(signed);
    expect(isToAdminister(state, alice)).toBe(true);
    for (const other of [
      { serial: '1' },
      { username: 'bob' },
      { lifeId: '' },
      { serial: '8113888881226659696' },
    ])
      expect(isToAdminister(state, { ...alice, ...other })).toBe(false);
  });
  it('administer nothing where a newer release wrote what this one must know and does not', () => {
    const { fact } = ofUser;
    const newer = { ...ofUser, fact: { ...fact, data: { ...fact.data, critical: ['only-from-network'] } } };
    const state = fold([newer, ofHost]);
    expect(isToAdminister(state, alice)).toBe(false);
    const views = { identities: { state: () => state } };
    expect(unreadableOf(views)).toMatchObject([{ kind: 'identity', name: alice.serial }]);
  });
});
