import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certsRequest, fromBase64, readJson, toBase64, ttlSecondsOf } from './api-requests.ts';

const refused = (message: RegExp): unknown =>
  expect.objectContaining({ code: 'bad_request', message: expect.stringMatching(message) as string });

describe('reading base64 fields', () => {
  it('gives back any text that was put in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(fromBase64(toBase64(text), 'password')).toBe(text);
        expect(fromBase64(toBase64(text).replace(/=+$/, ''), 'password')).toBe(text);
      }),
    );
  });
  it('never reads two different texts as one', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const read = (text: string): string | undefined => {
          try {
            return fromBase64(text, 'password');
          } catch {
            return undefined;
          }
        };
        const [one, other] = [read(a), read(b)];
        if (one !== undefined && one === other)
          expect(a.replace(/={0,2}$/, '')).toBe(b.replace(/={0,2}$/, ''));
      }),
    );
  });
  it.each(['a', 'ab*c', 'YWJj\n', 'YWJj YWJj', 'YW-j', 'YWJjZB=='])('refuses %j', (text) => {
    expect(() => fromBase64(text, 'password')).toThrow(refused(/^password: not base64/));
  });
  it('refuses bytes that are no UTF-8, instead of replacing them', () => {
    expect(() => fromBase64(Buffer.from([0xff, 0xfe]).toString('base64'), 'password')).toThrow(
      refused(/^password: not text in UTF-8/),
    );
  });
  it('keeps a byte order mark: it is part of a password like any other character', () => {
    expect(fromBase64(toBase64('\ufeffx'), 'password')).toBe('\ufeffx');
  });
});

describe('reading a time to live in nanoseconds', () => {
  it.each([
    [43_200_000_000_000, 43_200],
    [0, 43_200],
    [1, 1],
    [1_999_999_999, 1],
    [60_000_000_000, 60],
    [1e300, Number.MAX_SAFE_INTEGER],
  ])('%d is %d s', (nanoseconds, seconds) => {
    expect(ttlSecondsOf(nanoseconds)).toBe(seconds);
  });
});

describe('reading the body of a login', () => {
  const whole = { user: 'alice', password: 'x', pub_key: 'AAAA' };
  it('fills in what clients leave out', () => {
    expect(readJson(JSON.stringify(whole), certsRequest)).toEqual({
      ...whole,
      otp_token: '',
      hotp_token: '',
      ttl: 0,
      compatibility: '',
      RouteToCluster: '',
    });
  });
  it.each([
    ['not JSON', /^the request is not JSON$/],
    ['[]', /^request: /],
    [JSON.stringify({ ...whole, user: '' }), /^user: /],
    [JSON.stringify({ ...whole, ttl: -1 }), /^ttl: /],
    [JSON.stringify({ ...whole, compatibility: 'newssh' }), /^compatibility: /],
    [JSON.stringify({ ...whole, password: undefined }), /^password: /],
  ])('refuses %s', (text, message) => {
    expect(() => readJson(text, certsRequest)).toThrow(refused(message));
  });
});
