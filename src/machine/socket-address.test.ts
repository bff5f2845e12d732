import { BlockList, SocketAddress as NodeAddress } from 'node:net';
import { endianness } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { socketAddress } from './socket-address.ts';

describe.runIf(endianness() === 'LE')('an address as the kernel takes it', () => {
  it.each([
    ['127.0.0.1', 80, '02000050 7f000001 0000000000000000'],
    ['10.1.255.9', 65_535, '0200ffff 0a01ff09 0000000000000000'],
    ['::1', 22, '0a000016 00000000 00000000000000000000000000000001 00000000'],
    ['::', 1, '0a000001 00000000 00000000000000000000000000000000 00000000'],
    ['2001:db8::a:0:1', 443, '0a0001bb 00000000 20010db8000000000000000a00000001 00000000'],
    ['::ffff:1.2.3.4', 1, '0a000001 00000000 00000000000000000000ffff01020304 00000000'],
    ['fe80::1%7', 1, '0a000001 00000000 fe800000000000000000000000000001 07000000'],
  ])('%s port %i', (address, port, hex) => {
    expect(socketAddress(address, port).bytes.toString('hex')).toBe(hex.replaceAll(' ', ''));
  });
  it('says which interface there is not', () => {
    expect(() => socketAddress('fe80::1%no-such', 1)).toThrow('there is no interface no-such with IPv6');
  });
  it('reads every IPv6 address as Node reads it', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const [plain = ''] = address.split('%');
        const groups = socketAddress(plain, 1).bytes.toString('hex', 8, 24).match(/.{4}/g)?.join(':') ?? '';
        const list = new BlockList();
        list.addAddress(new NodeAddress({ address: plain, family: 'ipv6' }));
        expect(list.check(groups, 'ipv6')).toBe(true);
      }),
    );
  });
});
