import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linkAddressOf, noteOn, type TellingProxy } from './link-address.ts';

const hostId = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const proxy = (publicAddress: string, n = 1, nodename = 'proxy1'): TellingProxy => ({
  hostId: hostId(n),
  nodename,
  publicAddress,
});
const nothing = { publicAddresses: [], local: undefined };

describe('the address in an invite link', () => {
  it('is that of the file of this machine, whatever proxies say', () => {
    const told = [proxy('aaa.evil.example:443'), proxy('proxy.example.com:443', 2)];
    const publicAddresses = [{ host: 'proxy.example.com', port: 443 }];
    const local = { host: 'main', port: 3080 };
    expect(linkAddressOf({ publicAddresses, local }, told)).toEqual({
      status: 'own',
      address: 'proxy.example.com:443',
    });
    expect(linkAddressOf({ publicAddresses: [], local }, told)).toEqual({
      status: 'own',
      address: 'main:3080',
    });
  });

  it('is what proxies say only where all say the same, and by whom is said', () => {
    const link = linkAddressOf(nothing, [proxy('web.example.com:443', 1), proxy('web.example.com:443', 2)]);
    expect(link).toMatchObject({ status: 'told', address: 'web.example.com:443' });
    expect(noteOn(link).join('\n')).toContain(`host ${hostId(1)}, ${hostId(2)}`);
    expect(linkAddressOf(nothing, [proxy('')])).toMatchObject({ status: 'told', address: 'proxy1:3080' });
  });

  it('is left to the operator where they differ, and all are shown', () => {
    const link = linkAddressOf(nothing, [proxy('a.evil.example:443'), proxy('proxy.example.com:443', 2)]);
    expect(link.status).toBe('undecided');
    const note = noteOn(link).join('\n');
    expect(note).toContain(`a.evil.example:443  (host ${hostId(1)})`);
    expect(note).toContain(`proxy.example.com:443  (host ${hostId(2)})`);
    expect(linkAddressOf(nothing, [])).toEqual({ status: 'undecided', told: [] });
  });

  it.each([
    'evil.example\u001b]0;pwned\u0007:443',
    'a b:443',
    'evil.example/x:443',
    'evil.example@proxy:443',
    'proxy.example.com:443\nhttps://evil.example',
    'proxy.example.com:65536',
    'proxy.example.com',
    '[::1',
    '*:443',
    '\u202egro.live:443',
  ])('never has the text %j in it', (publicAddress) => {
    const link = linkAddressOf(nothing, [proxy(publicAddress)]);
    expect(link).toEqual({ status: 'undecided', told: [{ hostId: hostId(1), address: undefined }] });
    expect(noteOn(link).join('\n')).not.toContain(publicAddress);
  });

  it('takes names, IPv4 and IPv6', () => {
    for (const address of ['a:1', 'a-b.example.com:443', '192.0.2.1:3080', '[2001:db8::1]:443'])
      expect(linkAddressOf(nothing, [proxy(address)])).toMatchObject({ address });
  });

  it('prints only letters, digits and punctuation of addresses, whatever other machines say', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ hostId: fc.string(), nodename: fc.string(), publicAddress: fc.string() })),
        (proxies) => {
          const link = linkAddressOf(nothing, proxies);
          if (link.status === 'told') expect(link.address).toMatch(/^[A-Za-z0-9.:[\]-]+$/);
          for (const line of noteOn(link)) expect(line).toMatch(/^[\x20-\x7e]*$/);
        },
      ),
    );
  });
});
