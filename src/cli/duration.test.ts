import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { parseMoment, parseNumber, parseTtl } from './duration.ts';

const now = '2026-01-31T12:00:00.000Z';

describe('a moment given to a flag', () => {
  it.each([
    ['2h', '2026-01-31T10:00:00.000Z'],
    ['0s', now],
    ['876000h', '1926-02-25T12:00:00.000Z'],
    ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.000Z'],
  ])('%s', (text, at) => {
    expect(parseMoment(text, now, '--from')).toBe(at);
  });

  it.each([
    ['99999999999h', '--from: "99999999999h" is too long: from 0h to 876000h'],
    ['1d', `--from: invalid duration "1d", accepted format '10h' or '1m30s'`],
    [
      '2026-02-30',
      '--from: expected a time like 2026-01-31T08:00:00Z or a duration like 2h, got "2026-02-30"',
    ],
    ['yesterday', '--from: expected a time like 2026-01-31T08:00:00Z or a duration like 2h, got "yesterday"'],
  ])('%s is refused, naming the flag and the bounds', (text, message) => {
    expect(() => parseMoment(text, now, '--from')).toThrow(
      expect.objectContaining({ code: 'bad_request', message }) as Error,
    );
  });
});

describe('whatever is given to a flag', () => {
  it('is a value in its bounds, or refused with the name of the flag', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...Array.from('0123456789.hmsTZ:-+e')) }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const parse of [
          () => parseMoment(text, now, '--flag'),
          () => parseTtl(text, '--flag'),
          () => parseNumber(text, { min: 1, max: 10 }, '--flag'),
        ])
          try {
            parse();
          } catch (e) {
            expect(
              isCoded(e, 'bad_request') && e.message.startsWith('--flag: ') && e.message.length < 250,
            ).toBe(true);
          }
      }),
    );
  });
});
