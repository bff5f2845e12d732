import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { kernelAddresses, ownerInTable } from './trusted-peers.ts';

describe.runIf(endianness() === 'LE')('finding who owns a socket of this machine', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:0BCE 00000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 4242 1',
    '   1: 0100007F:D431 0100007F:0BCE 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1',
    '   2: 0100007F:0BCE 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4244 1',
  ].join('\n');

  it('writes addresses as the kernel does', () => {
    expect(kernelAddresses('127.0.0.1')).toEqual(['0100007F', '0000000000000000FFFF00000100007F']);
    expect(kernelAddresses('::1')).toEqual(['00000000000000000000000001000000']);
    expect(kernelAddresses('2001:db8::a:b')).toEqual(['B80D0120000000000000000' + '00B000A00']);
  });
  it('tells the owner of the connection with this end', () => {
    expect(ownerInTable(table, kernelAddresses('127.0.0.1'), 0xd431)).toBe(1000);
    expect(ownerInTable(table, kernelAddresses('127.0.0.1'), 0x0bce)).toBe(0); // not that of who listens
  });
  it('knows nothing of others', () => {
    expect(ownerInTable(table, kernelAddresses('127.0.0.2'), 0xd431)).toBeUndefined();
    expect(ownerInTable('', kernelAddresses('127.0.0.1'), 1)).toBeUndefined();
  });
});
