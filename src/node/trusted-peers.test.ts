import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { kernelAddresses, ownerInTable, type TcpEnd } from './trusted-peers.ts';

describe.runIf(endianness() === 'LE')('finding who owns a socket of this machine', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:0BCE 00000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 4242 1',
    '   1: 0100007F:D431 0100007F:0BCE 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1',
    '   2: 0100007F:0BCE 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4244 1',
    '   3: 0100007F:D432 0100007F:0947 01 00000000:00000000 00:00000000 00000000     0        0 4245 1',
    '   4: 0100007F:D432 0100007F:0BCE 01 00000000:00000000 00:00000000 00000000  1000        0 4246 1',
    '   5: 0100007F:D433 0100007F:0BCE 06 00000000:00000000 00:00000000 00000000     0        0 0 1',
  ].join('\n');

  it('writes addresses as the kernel does', () => {
    expect(kernelAddresses('127.0.0.1')).toEqual(['0100007F', '0000000000000000FFFF00000100007F']);
    expect(kernelAddresses('::1')).toEqual(['00000000000000000000000001000000']);
    expect(kernelAddresses('2001:db8::a:b')).toEqual(['B80D0120000000000000000' + '00B000A00']);
  });
  const end = (port: number, address = '127.0.0.1'): TcpEnd => ({ address, port });
  it('tells the owner of the connection with these ends', () => {
    expect(ownerInTable(table, end(0xd431), end(0x0bce))).toBe(1000);
    expect(ownerInTable(table, end(0x0bce), end(0xd431))).toBe(0); // not that of who listens
  });
  it('takes nobody for the owner of another connection from the same port', () => {
    expect(ownerInTable(table, end(0xd432), end(0x0bce))).toBe(1000);
  });
  it('knows nothing of others, nor of those that have ended', () => {
    expect(ownerInTable(table, end(0xd431, '127.0.0.2'), end(0x0bce))).toBeUndefined();
    expect(ownerInTable(table, end(0xd433), end(0x0bce))).toBeUndefined();
    expect(ownerInTable('', end(1), end(2))).toBeUndefined();
  });
});
