import { describe, expect, it } from 'vitest';
import { minute, second } from '../../base/time.ts';
import { type LoginSource, refusedLogins } from './refused-logins.ts';

/** How many of so many attempts at one moment are looked at, and how long the next has to wait. */
function looked(
  refusals: ReturnType<typeof refusedLogins>,
  sources: readonly LoginSource[],
  now = 0,
): { readonly taken: number; readonly waitMs: number } {
  const takings = sources.map((source) => refusals.take(source, now));
  const refused = takings.find((taking) => taking.status === 'refused');
  return { taken: takings.filter(({ status }) => status === 'taken').length, waitMs: refused?.waitMs ?? 0 };
}
const times = (n: number, of: (i: number) => LoginSource): LoginSource[] =>
  Array.from({ length: n }, (_, i) => of(i));

describe('refused logins', () => {
  it('of one address are thirty, then six a minute, whoever they are for', () => {
    const refusals = refusedLogins();
    const guesses = times(80, (i) => ({ address: '192.0.2.1', name: `ghost${i}` }));
    expect(looked(refusals, guesses)).toEqual({ taken: 30, waitMs: 10 * second });
    expect(looked(refusals, guesses, minute).taken).toBe(6);
    expect(looked(refusals, [{ address: '192.0.2.2', name: 'ghost1' }]).taken).toBe(1);
  });
  it('of one name are sixty, then two a minute, wherever they come from', () => {
    const refusals = refusedLogins();
    const guesses = times(100, (i) => ({ address: `192.0.2.${i}`, name: 'alice' }));
    expect(looked(refusals, guesses)).toEqual({ taken: 60, waitMs: 30 * second });
    expect(looked(refusals, guesses, minute).taken).toBe(2);
    expect(looked(refusals, [{ address: '192.0.2.1', name: undefined }]).taken).toBe(1);
  });
  it('do not count when they were none', () => {
    const refusals = refusedLogins();
    for (let n = 0; n < 200; n++) {
      const taking = refusals.take({ address: '192.0.2.1', name: 'alice' }, 0);
      expect(taking.status).toBe('taken');
      if (taking.status === 'taken') taking.notRefused();
    }
  });
  it('of ever new names and addresses take no more memory than of some', () => {
    const refusals = refusedLogins();
    const source = { address: '192.0.2.1', name: 'alice' };
    looked(
      refusals,
      times(30, () => source),
    );
    expect(refusals.take(source, 0).status).toBe('refused');
    looked(
      refusals,
      times(10_000, (i) => ({ address: `a${i}`, name: `n${i}` })),
    );
    expect(refusals.take(source, 0).status).toBe('taken');
  });
});
