import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balancersOf } from '../client-address.ts';
import { doubtAboutAddress } from './node-address.ts';

const judge = (ip: string, { allowed = [] as string[], here = false } = {}): Promise<string | undefined> =>
  doubtAboutAddress(ip, { allowed: balancersOf(allowed), isHere: () => Promise.resolve(here) });

describe('the address that a node announces', () => {
  it.each(['10.0.0.1', '192.0.2.1', '8.8.8.8', '2001:db8::1', 'fd00::1', '::ffff:10.0.0.1'])(
    'is dialled when a machine can be there: %s',
    async (ip) => {
      expect(await judge(ip)).toBeUndefined();
    },
  );

  it.each([
    ['169.254.169.254', /link-local/],
    ['::ffff:169.254.169.254', /link-local/],
    ['::ffff:a9fe:a9fe', /link-local/],
    ['fe80::1', /link-local/],
    ['fe80::1%eth0', /link-local/],
    ['fd00:ec2::254', /metadata/],
    ['0.0.0.0', /unspecified/],
    ['0.1.2.3', /unspecified/],
    ['::', /unspecified/],
    ['224.0.0.1', /multicast/],
    ['255.255.255.255', /broadcast/],
    ['ff02::1', /multicast/],
  ])('is never dialled when none can, here or elsewhere: %s', async (ip, why) => {
    expect(await judge(ip)).toMatch(why);
    expect(await judge(ip, { here: true })).toMatch(why);
  });

  it.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1'])(
    'is dialled on loopback only for a node of this machine: %s',
    async (ip) => {
      expect(await judge(ip)).toMatch(/^a loopback address at which no process/);
      expect(await judge(ip, { here: true })).toBeUndefined();
    },
  );

  it('is dialled when the operator listed it', async () => {
    expect(await judge('169.254.7.7', { allowed: ['169.254.7.0/24'] })).toBeUndefined();
    expect(await judge('127.0.0.1', { allowed: ['127.0.0.1'] })).toBeUndefined();
    expect(await judge('127.0.0.2', { allowed: ['127.0.0.1'] })).toEqual(expect.any(String));
  });

  it('means the same however it is written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.ipV4(), async (ip) => {
        const [a = 0, b = 0, c = 0, d = 0] = ip.split('.').map(Number);
        const hex = `::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
        expect([await judge(`::ffff:${ip}`), await judge(hex)]).toEqual([await judge(ip), await judge(ip)]);
      }),
    );
  });
});
