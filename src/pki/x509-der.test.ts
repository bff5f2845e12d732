import { describe, expect, it } from 'vitest';
import { isAlternativeName } from './x509-alternative-names.ts';
import { attributesOf, derOf, fromDer, oid, oids, sequence } from './x509-der.ts';

/** DER written by hand; every length here is below 128. */
const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag, content.length), content]);
};
const [utf8, printable, t61, bmp] = [0x0c, 0x13, 0x14, 0x1e];
const attribute = (type: string, tag: number, value: Uint8Array): Buffer =>
  der(0x30, derOf(oid(type)), der(tag, value));
/** A distinguished name; each of `sets` is one of its parts, with one attribute or several. */
const name = (...sets: Buffer[][]): Buffer => der(0x30, ...sets.map((set) => der(0x31, ...set)));
const role = (tag: number, value: Uint8Array): Buffer => attribute(oids.organization, tag, value);

describe('reading a distinguished name', () => {
  it('finds every attribute of a part that has several', () => {
    const bytes = name(
      [role(printable, Buffer.from('admin')), attribute(oids.commonName, utf8, Buffer.from('älice'))],
      [role(utf8, Buffer.from('dev'))],
    );
    expect(attributesOf(fromDer(bytes))).toEqual([
      { oid: oids.organization, value: 'admin' },
      { oid: oids.commonName, value: 'älice' },
      { oid: oids.organization, value: 'dev' },
    ]);
  });

  it.each([
    ['bytes that are not UTF-8', utf8, Buffer.of(0x61, 0xff)],
    ['an overlong form', utf8, Buffer.of(0xc0, 0xaf)],
    ['a newline', utf8, Buffer.from('a\nb')],
    ['NUL', printable, Buffer.from('a\0b')],
    ['a high byte in PrintableString', printable, Buffer.of(0x61, 0xe9)],
    ['T61String', t61, Buffer.from('admin')],
    ['BMPString', bmp, Buffer.from('\0a\0b')],
    ['a structure in place of text', 0x30, derOf(sequence(oid('1.2.3')))],
  ])('refuses %s', (_name, tag, value) => {
    expect(() => attributesOf(fromDer(name([role(tag, value)])))).toThrow(/sound text|not text|encoded data/);
  });

  it('refuses bytes after its end', () => {
    expect(() => fromDer(Buffer.concat([name([role(utf8, Buffer.from('a'))]), Buffer.of(5, 0)]))).toThrow(
      Error,
    );
  });
});

describe('a name of DNS', () => {
  const ofLength = (n: number): string => 'a.'.repeat(n).slice(0, n - 1) + 'a';

  it('has at most 253 characters', () => {
    expect(ofLength(253)).toHaveLength(253);
    expect(isAlternativeName(ofLength(253))).toBe(true);
    expect(isAlternativeName(ofLength(255))).toBe(false);
  });
});
