import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { callable, parseHostPort } from './addresses.ts';
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
  it.each(['35022', 'tcp://35022', '0'])('does not take the bare number %s for a host', (text) => {
    expect(() => parseHostPort(text, 1)).toThrow(/a number alone is not a host: write host:port/);
  });
  it('takes a host that is called by a number, where its port is said', () => {
    expect(parseHostPort('12345:22', 1)).toEqual({ host: '12345', port: 22 });
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

describe('an address to call, from one to listen on', () => {
  it('stays with the family of a wildcard', () => {
    expect(callable({ host: '0.0.0.0', port: 1 })).toEqual({ host: '127.0.0.1', port: 1 });
    expect(callable({ host: '::', port: 2 })).toEqual({ host: '::1', port: 2 });
  });
  it('is every other as it stands', () => {
    expect(callable({ host: '192.0.2.7', port: 3 })).toEqual({ host: '192.0.2.7', port: 3 });
  });
});
