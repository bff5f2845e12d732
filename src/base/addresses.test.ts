import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHostPort } from './addresses.ts';
import { CodedError } from './errors.ts';
import { formatHostPort } from './service.ts';

describe('reading an address', () => {
  it.each([
    ['host', 'host', 1],
    ['host:22', 'host', 22],
    ['tcp://host:22', 'host', 22],
    ['https://host/', 'host', 1],
    ['[::1]:22', '::1', 22],
    ['::1', '::1', 1],
    ['[fd00::1]', 'fd00::1', 1],
  ])('takes %s', (text, host, port) => {
    expect(parseHostPort(text, 1)).toEqual({ host, port });
  });
  it.each(['', 'a:b:c', 'host:99999', 'ftp://x', 'unix:///x', '[host]:1', 'ho st', 'host:'])(
    'refuses %s',
    (text) => {
      expect(() => parseHostPort(text, 1)).toThrow(expect.objectContaining({ code: 'misconfigured' }));
    },
  );
  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (host, port) => {
        expect(parseHostPort(formatHostPort({ host, port }), 1)).toEqual({ host, port });
      }),
    );
  });
  it('never fails but with a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseHostPort(text, 1);
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});
