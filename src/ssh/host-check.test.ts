import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { issueCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { HostCheck, type HostPolicy } from './host-check.ts';

const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const authority = ed25519();
const now = 1_800_000_000n;
const policy = (wish: Partial<HostPolicy> = {}): HostPolicy => ({
  hostAuthorities: () => [publicKeyOf(authority).blob],
  hostPrincipals: ['node1'],
  now: () => now,
  ...wish,
});
const certificate = (key: KeyObject, validBefore = now + 60n): Buffer =>
  issueCertificate({
    key: publicKeyOf(key),
    ca: authority,
    kind: 'host',
    keyId: '',
    principals: ['node1'],
    validAfter: now - 60n,
    validBefore,
  });
const certified = 'ssh-ed25519-cert-v01@openssh.com';
const plain = 'ssh-ed25519';

/** One key exchange in which the host shows `blob`. */
function show(check: HostCheck, algorithm: string, blob: Buffer): Promise<boolean> {
  const shown = Buffer.from(blob); // ssh2 gives a buffer of its own each time
  return new Promise((resolve) => {
    check.verify({ negotiated: { serverHostKey: algorithm } }, algorithm, shown, resolve);
  });
}

describe('a host of another role', () => {
  const ofRole = (role?: string): Buffer =>
    issueCertificate({
      key: publicKeyOf(ed25519()),
      ca: authority,
      kind: 'host',
      keyId: '',
      principals: ['node1'],
      validAfter: now - 60n,
      validBefore: now + 60n,
      ...(role === undefined ? {} : { extensions: { 'x-teleport-role': role } }),
    });
  it('is not taken for a proxy, though it has the name', async () => {
    for (const [role, believed] of [
      ['Proxy', true],
      ['Node', false],
      ['proxy', false],
      [undefined, false],
    ] as const) {
      const check = new HostCheck(policy({ hostRole: 'Proxy' }));
      expect(await show(check, certified, ofRole(role)), role).toBe(believed);
      if (!believed) expect(check.refusal?.message).toContain('node1 should be a host in role Proxy');
    }
  });
  it('is whoever has the name, where no role is asked for', async () => {
    expect(await show(new HostCheck(policy()), certified, ofRole('Node'))).toBe(true);
  });
});

describe('judging a host again at a rekey', () => {
  it('takes the same certificate, though it has expired since', async () => {
    const blob = certificate(ed25519());
    let clock = now;
    const check = new HostCheck(policy({ now: () => clock }));
    expect(await show(check, certified, blob)).toBe(true);
    clock += 1000n;
    expect(await show(check, certified, blob)).toBe(true);
    expect(await show(new HostCheck(policy({ now: () => clock })), certified, blob)).toBe(false);
  });

  it('refuses another certificate, also a good one', async () => {
    const check = new HostCheck(policy());
    await show(check, certified, certificate(ed25519()));
    expect(await show(check, certified, certificate(ed25519()))).toBe(false);
    expect(check.refusal?.message).toContain('another key in the middle');
  });

  it('refuses the plain key after the certificate, and does not ask again', async () => {
    const asked: string[] = [];
    const check = new HostCheck(policy({ acceptUnknownHost: ({ reason }) => asked.push(reason) > 0 }));
    const key = ed25519();
    await show(check, certified, certificate(key));
    expect(await show(check, plain, publicKeyOf(key).blob)).toBe(false);
    expect(asked).toEqual([]);
  });

  it('a plain key that a person accepted is not asked about again', async () => {
    let asked = 0;
    const check = new HostCheck(policy({ acceptUnknownHost: () => Promise.resolve((asked += 1) === 1) }));
    const { blob } = publicKeyOf(ed25519());
    expect([await show(check, plain, blob), await show(check, plain, blob)]).toEqual([true, true]);
    expect(check.certificate).toBeUndefined();
  });
});

describe('judging a host', () => {
  it('refuses what it cannot read, without a question', async () => {
    const check = new HostCheck(policy({ acceptUnknownHost: () => true }));
    expect(await show(check, certified, Buffer.from('nonsense'))).toBe(false);
    expect(await show(check, plain, Buffer.alloc(0))).toBe(false);
  });

  it('refuses a key that is not of the algorithm agreed on', async () => {
    const check = new HostCheck(policy({ acceptUnknownHost: () => true }));
    expect(await show(check, 'rsa-sha2-512-cert-v01@openssh.com', certificate(ed25519()))).toBe(false);
    expect(await show(check, 'rsa-sha2-512', publicKeyOf(ed25519()).blob)).toBe(false);
  });

  it('a question that fails refuses', async () => {
    const check = new HostCheck(
      policy({ acceptUnknownHost: () => Promise.reject(new Error('no terminal')) }),
    );
    expect(await show(check, plain, publicKeyOf(ed25519()).blob)).toBe(false);
    expect(check.refusal?.message).toBe('handshake failed: no terminal');
  });
});
