import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readGreeting, readRequest, socksReply } from './socks.ts';

describe('a SOCKS client', () => {
  it('is greeted when it can do without authentication', () => {
    expect(readGreeting(Buffer.of(5, 2, 0, 2, 9))).toEqual({
      kind: 'greeted',
      used: 4,
      reply: Buffer.of(5, 0),
    });
    expect(readGreeting(Buffer.of(5, 2, 1))).toEqual({ kind: 'more' });
    expect(readGreeting(Buffer.of(5, 1, 2))).toEqual({ kind: 'refused', reply: Buffer.of(5, 0xff) });
    expect(readGreeting(Buffer.of(4, 1, 0)).kind).toBe('refused');
  });
  it.each([
    [Buffer.of(5, 1, 0, 1, 10, 0, 0, 1, 0, 80), '10.0.0.1'],
    [Buffer.concat([Buffer.of(5, 1, 0, 3, 3), Buffer.from('web'), Buffer.of(0, 80)]), 'web'],
    [Buffer.concat([Buffer.of(5, 1, 0, 4), Buffer.alloc(15), Buffer.of(1, 0, 80)]), '0:0:0:0:0:0:0:1'],
  ])('asks for an address', (bytes, host) => {
    expect(readRequest(bytes)).toEqual({ kind: 'connect', used: bytes.length, target: { host, port: 80 } });
    expect(readRequest(bytes.subarray(0, -1))).toEqual({ kind: 'more' });
  });
  it('is refused anything but CONNECT', () => {
    expect(readRequest(Buffer.of(5, 2, 0, 1, 1))).toEqual({
      kind: 'refused',
      reply: socksReply('unsupported_command'),
    });
    expect(readRequest(Buffer.of(5, 1, 0, 9, 1))).toEqual({
      kind: 'refused',
      reply: socksReply('unsupported_address'),
    });
  });
  it('never crashes the reader', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        readGreeting(Buffer.from(bytes));
        readRequest(Buffer.from(bytes));
      }),
    );
  });
});
