import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { str } from '../pki/wire.ts';
import { withStandIn } from './hybrid-negotiation.ts';

const hybrid = 'mlkem768x25519-sha256';
const curve = 'curve25519-sha256';
const ours = [hybrid, curve, 'ecdh-sha2-nistp256', 'kex-strict-s-v00@openssh.com'];
const rest = Buffer.concat([str('ssh-ed25519'), Buffer.from('and so on')]);
const kexInit = (names: readonly string[]): Buffer =>
  Buffer.concat([Buffer.of(20), Buffer.alloc(16, 7), str(names.join(',')), rest]);
const shownTo = (names: readonly string[], isServer = true): string[] | undefined => {
  const shown = withStandIn(kexInit(names), ours, isServer);
  if (shown === undefined) return undefined;
  const length = shown.readUInt32BE(17);
  expect(shown.subarray(0, 17)).toEqual(kexInit(names).subarray(0, 17));
  expect(shown.subarray(21 + length)).toEqual(rest);
  return shown.toString('latin1', 21, 21 + length).split(',');
};

describe('showing ssh2 a KEXINIT that it can agree to', () => {
  it('is done where both sides agree on the hybrid method, by the preference of the client', () => {
    expect(shownTo([hybrid, curve])).toEqual([curve]);
    expect(shownTo([curve, hybrid])).toBeUndefined();
    expect(shownTo([curve, hybrid], false)).toEqual(['another', curve]);
    expect(shownTo([curve])).toBeUndefined();
    expect(shownTo(['sntrup761x25519-sha512', curve])).toBeUndefined();
  });

  it('leaves what is no method, and whether the first guess was right', () => {
    const markers = ['ext-info-c', 'kex-strict-c-v00@openssh.com'];
    expect(shownTo([hybrid, curve, ...markers])).toEqual([curve, ...markers]);
    expect(shownTo(['sntrup761x25519-sha512', hybrid, ...markers])).toEqual(['another', curve, ...markers]);
  });

  it('is done with no other message, whatever it holds', () => {
    const other = kexInit([hybrid]);
    other.writeUInt8(2);
    expect(withStandIn(other, ours, true)).toBeUndefined();
    expect(withStandIn(kexInit([hybrid]), ours, true)).toBeDefined();
  });

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isServer) => {
        const payload = Buffer.from(bytes);
        const shown = withStandIn(payload, ours, isServer);
        // Only where the name stands there in full.
        if (shown !== undefined) expect(payload.includes(hybrid)).toBe(true);
      }),
    );
    const names = fc.array(
      fc.constantFrom<string>(hybrid, curve, 'ecdh-sha2-nistp256', 'ext-info-c', 'x', ''),
      {
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(names, fc.boolean(), (theirs, isServer) => {
        const [client, server] = isServer ? [theirs, ours] : [ours, theirs];
        const agreed = client.find((name) => server.includes(name));
        expect(shownTo(theirs, isServer) !== undefined).toBe(agreed === hybrid);
      }),
    );
  });
});
