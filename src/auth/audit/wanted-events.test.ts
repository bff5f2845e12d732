import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, plusMs } from '../../base/time.ts';
import { termsOfEvent, wantedBy, wantedTerms } from './wanted-events.ts';

const start = '2026-01-01T00:00:00.000Z';
const day = 24 * hour;
const name = fc.constantFrom('', 'alice', 'bob', 'node-1');
const time = fc.integer({ min: -40 * day, max: 1_200 * day }).map((ms) => plusMs(start, ms));
const type = fc.constantFrom('exec', 'session.start', 'user.login');
const event = fc.record(
  { time, event: type, user: name, name, server_id: name, server_hostname: name },
  { requiredKeys: ['event'] },
);
const wish = fc
  .record({
    from: time,
    ms: fc.oneof(...[hour, 2 * day, 60 * day, 1_500 * day].map((max) => fc.integer({ min: 1, max }))),
    types: fc.uniqueArray(type),
    ...{ user: name, node: name },
  })
  .map(({ ms, ...one }) => ({ ...one, to: plusMs(one.from, ms) }));

const finds = (of: Iterable<string>, wanted: readonly (readonly string[])[]): boolean => {
  const terms = new Set(of);
  return wanted.every((list) => list.some((term) => terms.has(term)));
};

describe('the terms of an event', () => {
  it('find it whenever it is wanted', () => {
    fc.assert(
      fc.property(event, wish, fc.option(time, { nil: undefined }), (one, asked, now) => {
        fc.pre(wantedBy(asked, now)(one));
        expect(finds(termsOfEvent(one), wantedTerms(asked, now !== undefined))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('do not find what happened at another time, of somebody else, or elsewhere', () => {
    const told = {
      time: plusMs(start, 30 * day),
      ...{ event: 'exec', user: 'alice', server_id: 'id-1', server_hostname: 'node-1' },
    };
    const asked = { from: start, to: plusMs(start, 60 * day), types: [], user: '', node: '' };
    const found = (more: object): boolean =>
      finds(termsOfEvent(told), wantedTerms({ ...asked, ...more }, false));
    expect(found({})).toBe(true);
    expect(found({ node: 'node-1', user: 'alice', types: ['scp', 'exec'] })).toBe(true);
    expect(found({ node: 'id-1' })).toBe(true);
    for (const other of [
      ...[{ node: 'node-2' }, { user: 'bob' }, { types: ['scp'] }],
      // By the hour, the day and the month.
      { to: plusMs(start, hour) },
      { to: plusMs(start, 20 * day) },
      { from: plusMs(start, 61 * day), to: plusMs(start, 300 * day) },
    ])
      expect(found(other)).toBe(false);
    // Very long times are not cut into pieces.
    expect(wantedTerms({ ...asked, to: plusMs(start, 20_000 * day) }, false)).toEqual([]);
  });
});
