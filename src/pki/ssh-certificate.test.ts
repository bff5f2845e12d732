import { describe, expect, it } from 'vitest';
import {
  certAlgOf,
  certTypeOf,
  extensionText,
  FOREVER,
  isCertAlg,
  issueCertificate,
  parseCertificate,
  sigAlgOfCertAlg,
  type IssueOptions,
} from './ssh-certificate.ts';
import { publicKeyOf, sigAlgsOf, splitSignature } from './ssh-key.ts';
import { keyKinds, keyOf, rawCertificate, testNowSeconds } from './testing.ts';
import { str, WireError } from './wire.ts';

const options = (wish: Partial<IssueOptions> = {}): IssueOptions => ({
  key: publicKeyOf(keyOf('ed25519')),
  ca: keyOf('ed25519', 'ca'),
  kind: 'user',
  keyId: 'alice',
  principals: ['root', 'deploy'],
  validAfter: testNowSeconds,
  validBefore: testNowSeconds + 60n,
  ...wish,
});
const pairs = keyKinds.flatMap((key) => keyKinds.map((ca) => [key, ca] as const));

describe('issuing a certificate', () => {
  it.each(pairs)('of %s by %s is read back as it was asked for', (kind, caKind) => {
    const key = publicKeyOf(keyOf(kind));
    const ca = keyOf(caKind, 'ca');
    const c = parseCertificate(
      issueCertificate(
        options({
          key,
          ca,
          serial: FOREVER,
          criticalOptions: { 'source-address': '10.0.0.0/8' },
          extensions: { zeta: 'z', 'permit-pty': '', alpha: 'ä' },
        }),
      ),
    );
    expect(c).toMatchObject({
      certType: certTypeOf(key.type),
      kind: 'user',
      keyId: 'alice',
      principals: ['root', 'deploy'],
      serial: FOREVER,
      validAfter: testNowSeconds,
      validBefore: testNowSeconds + 60n,
    });
    expect(c.key.blob).toEqual(key.blob);
    expect(c.ca.blob).toEqual(publicKeyOf(ca).blob);
    expect([...c.extensions.keys()]).toEqual(['alpha', 'permit-pty', 'zeta']);
    expect(extensionText(c, 'alpha')).toBe('ä');
    expect(extensionText(c, 'none')).toBeUndefined();
    expect(c.extensions.get('permit-pty')).toEqual(Buffer.alloc(0));
    expect(splitSignature(c.signature).alg).toBe(sigAlgsOf(publicKeyOf(ca).type)[0]);
  });

  it('never makes the same one twice', () => {
    expect(issueCertificate(options())).not.toEqual(issueCertificate(options()));
  });

  it.each<[string, Partial<IssueOptions>]>([
    ['no principals', { principals: [] }],
    ['an empty principal', { principals: ['root', ''] }],
    ['a comma in a principal', { principals: ['root,admin'] }],
    ['a newline in a principal', { principals: ['root\nadmin'] }],
    ['NUL in a principal', { principals: ['root\0'] }],
    ['an escape in a principal', { principals: ['\x1b[31m'] }],
    ['more principals than are read', { principals: Array.from({ length: 257 }, (_, i) => `p${i}`) }],
    ['NUL in the key id', { keyId: 'a\0b' }],
    ['an end before the beginning', { validBefore: testNowSeconds - 1n }],
    ['no time at all', { validBefore: testNowSeconds }],
    ['a beginning before 1970', { validAfter: -1n }],
    ['an end beyond all time', { validBefore: FOREVER + 1n }],
  ])('refuses %s', (_name, wish) => {
    expect(() => issueCertificate(options(wish))).toThrow(
      expect.objectContaining({ code: 'bad_request' }) as Error,
    );
  });

  it('refuses an algorithm that is not of the authority', () => {
    expect(() => issueCertificate(options({ caSigAlg: 'rsa-sha2-512' }))).toThrow('cannot sign');
  });
});

describe('reading a certificate', () => {
  const pty = ['permit-pty', Buffer.alloc(0)] as const;
  const agent = ['permit-agent-forwarding', Buffer.alloc(0)] as const;

  it('keeps its own copy of the bytes', () => {
    const blob = rawCertificate();
    const c = parseCertificate(blob);
    blob.fill(0);
    expect(c.keyId).toBe('alice');
    expect(parseCertificate(c.raw).keyId).toBe('alice');
  });

  it.each<[string, () => Buffer]>([
    ['a plain key', () => publicKeyOf(keyOf('ed25519')).blob],
    ['an unknown kind', () => rawCertificate({ kind: 3 })],
    [
      'a type that is not of the key',
      () => rawCertificate({ type: 'ecdsa-sha2-nistp256-cert-v01@openssh.com' }),
    ],
    ['a DSA type', () => rawCertificate({ type: 'ssh-dss-cert-v01@openssh.com' })],
    ['the old v00 format', () => rawCertificate({ type: 'ssh-rsa-cert-v00@openssh.com' })],
    ['an extension twice', () => rawCertificate({ extensions: [pty, pty] })],
    ['extensions out of order', () => rawCertificate({ extensions: [pty, agent] })],
    ['a critical option twice', () => rawCertificate({ criticalOptions: [pty, pty] })],
    ['critical options out of order', () => rawCertificate({ criticalOptions: [pty, agent] })],
    ['a certificate as the key of its authority', () => rawCertificate({ caBlob: rawCertificate() })],
    ['NUL in a principal', () => rawCertificate({ principals: ['ro\0ot'] })],
    ['257 principals', () => rawCertificate({ principals: Array.from({ length: 257 }, (_, i) => `p${i}`) })],
    ['a byte after its end', () => rawCertificate({ trailing: Buffer.of(0) })],
    ['another certificate after its end', () => rawCertificate({ trailing: rawCertificate() })],
    ['nothing', () => Buffer.alloc(0)],
  ])('refuses %s', (_name, make) => {
    expect(() => parseCertificate(make())).toThrow(WireError);
  });

  it('refuses an extension whose data is more than its text', () => {
    const c = parseCertificate(
      rawCertificate({ extensions: [['route', Buffer.concat([str('a'), str('b')])]] }),
    );
    expect(() => extensionText(c, 'route')).toThrow(WireError);
  });
});

describe('names of algorithms', () => {
  it('lead from a signature to its certificate and back', () => {
    for (const kind of keyKinds)
      for (const alg of sigAlgsOf(publicKeyOf(keyOf(kind)).type)) {
        expect(isCertAlg(certAlgOf(alg))).toBe(true);
        expect(sigAlgOfCertAlg(certAlgOf(alg))).toBe(alg);
      }
  });

  it.each(['ssh-rsa-cert-v01@openssh.com', 'ssh-dss-cert-v01@openssh.com', 'ssh-ed25519', ''])(
    'lead nowhere from "%s"',
    (name) => {
      expect(sigAlgOfCertAlg(name)).toBeUndefined();
    },
  );
});
