import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base32, fromBase32, matchOtpStep, newOtpSecret, otpCode, otpUrl } from './otp.ts';

const secret = Buffer.from('12345678901234567890');
const stepMs = 30_000;

/** Source: RFC 6238, appendix B, SHA-1; the last six of its eight digits. */
const vectors: readonly (readonly [number, string])[] = [
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
];
/** Source: RFC 4226, appendix D: counters 0 to 9. */
const counted = [
  '755224',
  '287082',
  '359152',
  '969429',
  '338314',
  '254676',
  '287922',
  '162583',
  '399871',
  '520489',
];

describe('a one-time code', () => {
  it.each(vectors)('at %i s is %s', (seconds, code) => {
    expect(otpCode(secret, Math.floor(seconds / 30))).toBe(code);
    expect(matchOtpStep(secret, code, seconds * 1000)).toBe(Math.floor(seconds / 30));
  });

  it.each(counted.map((code, step) => [step, code] as const))('of step %i is %s', (step, code) => {
    expect(otpCode(secret, step)).toBe(code);
  });
});

describe('matching a code', () => {
  it('takes one step before and after, and tells which', () => {
    const now = 5 * stepMs + 29_999;
    expect([3, 4, 5, 6, 7].map((step) => matchOtpStep(secret, otpCode(secret, step), now))).toEqual([
      undefined,
      4,
      5,
      6,
      undefined,
    ]);
    expect(matchOtpStep(secret, otpCode(secret, 4), now, 0)).toBeUndefined();
    expect(matchOtpStep(secret, otpCode(secret, 3), now, 2)).toBe(3);
  });

  it('also works at the beginning of time', () => {
    expect(matchOtpStep(secret, '755224', 0)).toBe(0);
  });

  it.each(['', '75522', '7552244', ' 755224', '755224 ', '+55224', '７５５２２４', '0x1234'])(
    'refuses %j',
    (code) => {
      expect(matchOtpStep(secret, code, 0)).toBeUndefined();
    },
  );

  it('refuses whatever else is given', () => {
    fc.assert(
      fc.property(fc.string(), (code) => {
        fc.pre(!counted.includes(code));
        expect(matchOtpStep(secret, code, 0)).toBeUndefined();
      }),
    );
  });

  it('refuses the code of another seed', () => {
    expect(matchOtpStep(Buffer.from('another seed, 20 byt'), '755224', 0)).toBeUndefined();
  });
});

describe('a seed', () => {
  it('is 20 bytes of the given source', () => {
    expect(newOtpSecret((n) => Buffer.alloc(n, 3))).toEqual(Buffer.alloc(20, 3));
  });

  it('is shown to an authenticator application', () => {
    const url = new URL(otpUrl({ issuer: 'Teleport', account: 'älice@proxy:3080', secret }));
    expect(url.href).toMatch(/^otpauth:\/\/totp\/Teleport:%C3%A4lice%40proxy%3A3080\?/);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
      issuer: 'Teleport',
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    });
  });

  // Source: RFC 4648, section 10, without padding.
  it.each([
    ['', ''],
    ['f', 'MY'],
    ['fo', 'MZXQ'],
    ['foo', 'MZXW6'],
    ['foob', 'MZXW6YQ'],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI'],
  ])('in base 32: %j is %j', (bytes, text) => {
    expect(base32(Buffer.from(bytes))).toBe(text);
    expect(Buffer.from(fromBase32(text)).equals(Buffer.from(bytes))).toBe(true);
  });
});
