import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isExempt } from './no-proxy.ts';

const at = (host: string, port = 443): { readonly host: string; readonly port: number } => ({ host, port });

describe('NO_PROXY', () => {
  it.each([
    ['example.com', 'example.com', true],
    ['example.com', 'a.b.example.com', true],
    ['example.com', 'notexample.com', false],
    ['.example.com', 'example.com', false],
    ['.example.com', 'a.example.com', true],
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'example.com', false],
    ['EXAMPLE.com', 'A.Example.COM.', true],
    ['example.com.', 'example.com', true],
    ['a.test, b.test  c.test', 'c.test', true],
    ['*', 'anything', true],
    ['', 'anything', false],
    [',,', 'anything', false],
    ['.', 'anything', false],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['10.0.0.0/8', 'ten.test', false],
    ['10.0.0.0/33', '10.0.0.1', false],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.11', false],
    ['10.0.0.1', '::ffff:10.0.0.1', true],
    ['fd00::/8', 'fd00::1', true],
    ['fd00::1', 'fd00:0::1', true],
    ['[fd00::1]:443', 'fd00::1', true],
    ['[fd00::1]:80', 'fd00::1', false],
    ['0.1', '10.0.0.1', false],
  ])('%j exempts %s: %s', (noProxy, host, exempt) => {
    expect(isExempt(noProxy, at(host))).toBe(exempt);
  });
  it('is about one port where an entry names one', () => {
    expect(isExempt('a.test:443', at('a.test', 443))).toBe(true);
    expect(isExempt('a.test:443', at('x.a.test', 80))).toBe(false);
  });

  const label = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
  const domain = fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join('.'));
  it('exempts a domain and what is below, whatever else the list has', () => {
    fc.assert(
      fc.property(domain, label, fc.array(domain), (name, below, others) => {
        const list = [...others, name].join(',');
        expect(isExempt(list, at(name))).toBe(true);
        expect(isExempt(list, at(`${below}.${name}`))).toBe(true);
        expect(isExempt(`.${name}`, at(name))).toBe(false);
        expect(isExempt(name, at(`${below}${name}`))).toBe(false);
      }),
    );
  });
  it('holds of a network exactly its addresses', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const number = (parts: readonly number[]): number => parts.reduce((sum, part) => sum * 256 + part, 0);
    const quad = fc.tuple(byte, byte, byte, byte);
    fc.assert(
      fc.property(quad, quad, fc.integer({ min: 0, max: 32 }), (base, other, bits) => {
        const size = 2 ** (32 - bits);
        const same = Math.floor(number(base) / size) === Math.floor(number(other) / size);
        expect(isExempt(`${base.join('.')}/${bits}`, at(other.join('.')))).toBe(same);
      }),
    );
  });
  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (list, host) => {
        expect(typeof isExempt(list, at(host))).toBe('boolean');
      }),
    );
  });
});
