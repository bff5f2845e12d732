import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';
import { beginsWithHeader, type HeaderReading, readHeader } from './proxy-protocol.ts';

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const port = (n: number): Buffer => Buffer.of(n >> 8, n & 0xff);

/** A header of version 2. */
const binary = (command: number, family: number, ...content: Buffer[]): Buffer => {
  const body = Buffer.concat(content);
  return Buffer.concat([signature, Buffer.of(command, family), port(body.length), body]);
};
const addition = (type: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of(type), port(value.length), value]);
const four = Buffer.concat([Buffer.of(203, 0, 113, 9, 10, 0, 0, 1), port(4711), port(443)]);
const six = Buffer.concat([
  Buffer.from('20010db8000000000000000000000009', 'hex'),
  Buffer.from('fd000000000000000000000000000001', 'hex'),
  port(4711),
  port(443),
]);
/** With the checksum of the whole in its last addition. */
const checked = (header: Buffer): Buffer => {
  const bytes = Buffer.from(header);
  bytes.writeUInt32BE(crc32c(bytes), bytes.length - 4);
  return bytes;
};
const sum = addition(3, Buffer.alloc(4));
const found = (header: Buffer, host: string): HeaderReading => ({
  status: 'found',
  client: { host, port: 4711 },
  bytes: header.length,
});
const line = (text: string): Buffer => Buffer.from(`PROXY ${text}\r\n`, 'latin1');

describe('a header names the client', () => {
  it.each([
    [line('TCP4 203.0.113.9 10.0.0.1 4711 443'), '203.0.113.9'],
    [line('TCP6 2001:DB8:0::9 fd00::1 4711 443'), '2001:db8::9'],
    [line('TCP6 ::ffff:203.0.113.9 ::ffff:10.0.0.1 4711 443'), '203.0.113.9'],
    [binary(0x21, 0x11, four), '203.0.113.9'],
    [binary(0x21, 0x21, six), '2001:db8::9'],
    [
      binary(0x21, 0x11, four, addition(0xea, Buffer.from('vpce')), addition(4, Buffer.alloc(0))),
      '203.0.113.9',
    ],
    [checked(binary(0x21, 0x21, six, sum)), '2001:db8::9'],
  ])('of any family, in either version (%#)', (header, host) => {
    expect(readHeader(header)).toEqual(found(header, host));
  });

  it('and nothing of what follows it is looked at', () => {
    for (const header of [line('TCP4 203.0.113.9 10.0.0.1 4711 443'), binary(0x21, 0x11, four)])
      fc.assert(
        fc.property(fc.uint8Array(), (rest) => {
          expect(readHeader(Buffer.concat([header, rest]))).toEqual(found(header, '203.0.113.9'));
        }),
      );
  });

  it.each([
    ['a health check', binary(0x20, 0x00)],
    ['a health check of a client that is named all the same', binary(0x20, 0x11, four)],
    ['a health check of a family that nobody knows', binary(0x20, 0x77, Buffer.from('anything'))],
    ['a connection whose client has no address', binary(0x21, 0x00, Buffer.from('anything'))],
    ['UNKNOWN', line('UNKNOWN')],
    ['UNKNOWN, with words', line('UNKNOWN ffff::1 ffff::2 65535 65535')],
  ])('or nobody: %s', (_what, header) => {
    expect(readHeader(header)).toEqual({ status: 'found', client: undefined, bytes: header.length });
  });
});

describe('a header is refused', () => {
  it.each([
    ['malformed', line('TCP4 203.0.113.9 10.0.0.1 4711')],
    ['malformed', line('TCP4 203.0.113.9 10.0.0.1 4711 443 ')],
    ['malformed', line('TCP4  203.0.113.9 10.0.0.1 4711 443')],
    ['malformed', line('TCP4 203.0.113.9 10.0.0.1 04711 443')],
    ['malformed', line('TCP4 203.0.113.9 10.0.0.1 4711 65536')],
    ['malformed', line('TCP4 203.0.113.9 10.0.0.1 65536 443')],
    ['malformed', line('TCP4 203.0.113.999 10.0.0.1 4711 443')],
    ['malformed', line('TCP4 2001:db8::9 10.0.0.1 4711 443')],
    ['malformed', line('TCP6 203.0.113.9 fd00::1 4711 443')],
    ['malformed', line('TCP6 fe80::1%eth0 fd00::1 4711 443')],
    ['unsupported', line('UDP4 203.0.113.9 10.0.0.1 4711 443')],
    ['unsupported', line('UNKNOWNS')],
    ['unsupported', line('')],
    ['too_long', line(`UNKNOWN ${'x'.repeat(200)}`)],
    ['unsupported', binary(0x11, 0x11, four)],
    ['unsupported', binary(0x31, 0x11, four)],
    ['malformed', binary(0x22, 0x11, four)],
    ['unsupported', binary(0x21, 0x12, four)],
    ['unsupported', binary(0x21, 0x22, six)],
    ['unsupported', binary(0x21, 0x31, Buffer.alloc(216))],
    ['unsupported', binary(0x21, 0x01, four)],
    ['malformed', binary(0x21, 0x11, four.subarray(1))],
    ['malformed', binary(0x21, 0x21, four)],
    ['malformed', binary(0x21, 0x11, four, Buffer.of(1))],
    ['malformed', binary(0x21, 0x11, four, Buffer.of(1, 0, 2, 7))],
    ['malformed', binary(0x21, 0x11, four, addition(3, Buffer.alloc(3)))],
    ['checksum', binary(0x21, 0x11, four, sum)],
    ['too_long', binary(0x21, 0x11, four, addition(1, Buffer.alloc(8 * 1024)))],
  ])('as %s (%#)', (fault, header) => {
    expect(readHeader(header)).toEqual({ status: 'refused', fault });
  });

  it('when any byte was changed that its checksum covers, other than that it is one', () => {
    const good = checked(binary(0x21, 0x11, four, addition(1, Buffer.from('h2')), sum));
    const typeAt = good.length - sum.length;
    for (let at = 16; at < good.length; at++) {
      if (at === typeAt) continue;
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      expect(readHeader(bad).status).not.toBe('found');
    }
  });
});

/** Beginnings that are likely to be headers, and what else may come. */
const beginnings = fc
  .tuple(
    fc.constantFrom(
      ...[
        'PROXY ',
        'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
        'PROXY UNKNOWN',
        'PRO',
        'GET / HTTP/1.1\r\n',
        '',
      ].map((text) => Buffer.from(text)),
      signature,
      binary(0x21, 0x11, four),
      checked(binary(0x21, 0x21, six, addition(5, Buffer.from('id')), sum)),
      Buffer.concat([signature, Buffer.of(0x21, 0x11)]),
      Buffer.concat([signature, Buffer.of(0x20, 0x00, 0xff, 0xff)]),
    ),
    fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 8_150, maxLength: 9_000 })),
  )
  .map((parts) => Buffer.concat(parts));

describe('whatever comes', () => {
  it('is read the same in one piece and byte by byte, within its bytes and the limit', () => {
    fc.assert(
      fc.property(beginnings, (bytes) => {
        const whole = readHeader(bytes);
        const first = Array.from({ length: bytes.length + 1 }, (_, n) =>
          readHeader(bytes.subarray(0, n)),
        ).find(({ status }) => status !== 'incomplete') ?? { status: 'incomplete' };
        expect(first).toEqual(whole);
        if (whole.status === 'found')
          expect(whole.bytes).toBeLessThanOrEqual(Math.min(bytes.length, 8 * 1024));
        if (bytes.length >= 8 * 1024) expect(whole.status).not.toBe('incomplete');
        expect(whole.status === 'absent').toBe(beginsWithHeader(bytes) === false);
      }),
      { numRuns: 60 },
    );
  });

  it('is known to be none from the first byte that differs', () => {
    expect(beginsWithHeader(Buffer.alloc(0))).toBeUndefined();
    expect(beginsWithHeader(Buffer.from('PRO'))).toBeUndefined();
    expect(beginsWithHeader(Buffer.from('PROP'))).toBe(false);
    expect(beginsWithHeader(Buffer.of(0x16))).toBe(false);
    expect(beginsWithHeader(Buffer.from('PROXY '))).toBe(true);
    expect(beginsWithHeader(signature.subarray(0, 11))).toBeUndefined();
    expect(beginsWithHeader(signature)).toBe(true);
  });
});
