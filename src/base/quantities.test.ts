import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  instantOf,
  longestMs,
  longestWaitMs,
  parseCount,
  parseDuration,
  parseInstant,
  readDuration,
} from './quantities.ts';

const bounds = { min: 1_000, max: longestWaitMs };
const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));
/** Near what is typed as well as anything. */
const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789.hms-+eE_ ')) }),
  fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 40n }), unit).map(([n, of]) => `${n}${of}`),
);

describe('a duration', () => {
  it('is the sum of its parts, or too long for any use', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), unit), { minLength: 1, maxLength: 4 }), (parts) => {
        const sum = parts.reduce((all, [n, of]) => all + n * units[of], 0);
        const text = parts.map(([n, of]) => `${n}${of}`).join('');
        expect(parseDuration(text)).toBe(sum > longestMs ? Number.POSITIVE_INFINITY : sum);
      }),
    );
  });

  it('is in its bounds whatever is typed, or the fault is told', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const read = readDuration(text, bounds);
        if (typeof read === 'object') expect(read.fault.length).toBeLessThan(200);
        else expect(Number.isSafeInteger(read) && read >= bounds.min && read <= bounds.max).toBe(true);
      }),
    );
  });

  it.each([
    ['99999999999h', '"99999999999h" is too long: from 1s to 8760h'],
    ['999ms', '"999ms" is too short: from 1s to 8760h'],
    ['15', 'time: missing unit in duration "15"'],
    ['1d', `invalid duration "1d", accepted format '10h' or '1m30s'`],
    ['-1h', `invalid duration "-1h", accepted format '10h' or '1m30s'`],
  ])('says what is wrong with %s', (text, fault) => {
    expect(readDuration(text, bounds)).toEqual({ fault });
  });
});

describe('a moment', () => {
  it('is none outside the years that have four digits, however it came about', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger()), (ms) => {
        const at = instantOf(ms);
        expect(at === undefined || /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(at)).toBe(true);
      }),
    );
  });

  it('comes back from the form it is printed in, and nothing else throws', () => {
    const min = new Date('0000-01-02T00:00:00Z');
    const max = new Date('9999-12-30T00:00:00Z');
    fc.assert(
      fc.property(fc.date({ min, max, noInvalidDate: true }), (date) => {
        expect(parseInstant(date.toISOString())).toBe(date.toISOString());
        expect(parseInstant(date.toISOString().slice(0, 10))).toBe(
          `${date.toISOString().slice(0, 10)}T00:00:00.000Z`,
        );
      }),
    );
    fc.assert(
      fc.property(
        fc.oneof(texts, fc.string()),
        (text) => parseInstant(text) === undefined || text.length > 9,
      ),
    );
  });

  it.each([
    ['2026-01-31T08:00:00Z', '2026-01-31T08:00:00.000Z'],
    ['2026-01-31T08:00:00.5+02:00', '2026-01-31T06:00:00.500Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2026-02-29', undefined],
    ['2026-02-31T00:00:00Z', undefined],
    ['2026-01-31T24:00:00Z', undefined],
    ['2026-01-31T08:00:00+99:00', undefined],
    ['9999-12-31T23:59:59-01:00', undefined],
    ['+012026-01-31T08:00:00Z', undefined],
    ['2026', undefined],
  ])('%s', (text, at) => {
    expect(parseInstant(text)).toBe(at);
  });
});

describe('a count', () => {
  it('is a whole number in its bounds', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const count = parseCount(text, { min: 1, max: 100 });
        expect(count === undefined || (/^\d+$/.test(text) && count >= 1 && count <= 100)).toBe(true);
      }),
    );
    expect(
      ['7', '007', '0', '101', '1e2', '0x10', ' 7', '7.0', ''].map((text) =>
        parseCount(text, { min: 1, max: 100 }),
      ),
    ).toEqual([7, 7, ...Array<undefined>(7).fill(undefined)]);
  });
});
