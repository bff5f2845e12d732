import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv6Groups, networkOf, plainAddress } from './network-of.ts';

describe('the network that an address is counted with', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['nonsense', 'nonsense'],
    ['', ''],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it('is the same for every address of a /64, however it is written', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV6(), (one, other) => {
        const head = ipv6Groups(one)?.slice(0, 4) ?? [];
        const tail = ipv6Groups(other)?.slice(4) ?? [];
        const mixed = [...head, ...tail].map((group) => group.toString(16)).join(':');
        expect(isIP(mixed)).toBe(6);
        expect(networkOf(mixed)).toBe(networkOf(head.map((g) => g.toString(16)).join(':') + '::'));
      }),
    );
  });

  it('reads every IPv6 address as eight groups', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const groups = ipv6Groups(address) ?? [];
        expect(groups).toHaveLength(8);
        for (const group of groups) expect(group).toSatisfy((n: number) => n >= 0 && n <= 0xffff);
      }),
    );
    expect(ipv6Groups('192.0.2.7')).toBeUndefined();
  });

  it('leaves no form of IPv4 that differs', () => {
    expect(plainAddress('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(plainAddress('10.0.0.1')).toBe('10.0.0.1');
    expect(plainAddress('::ffff:7f00:1')).toBe('127.0.0.1');
    expect(plainAddress('0:0:0:0:0:FFFF:a9fe:a9fe')).toBe('169.254.169.254');
    expect(plainAddress('::fffe:7f00:1')).toBe('::fffe:7f00:1');
  });
});
