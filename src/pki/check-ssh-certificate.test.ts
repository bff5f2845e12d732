import { sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  CertError,
  checkCertificate,
  optionText,
  type CertFailure,
  type CheckPolicy,
} from './check-ssh-certificate.ts';
import { FOREVER, parseCertificate } from './ssh-certificate.ts';
import { publicKeyOf, signSsh } from './ssh-key.ts';
import {
  blobOf,
  keyKinds,
  keyOf,
  rawCertificate,
  testNowSeconds,
  type KeyKind,
  type RawCertificate,
} from './testing.ts';
import { str } from './wire.ts';

const now = testNowSeconds;
const policy: CheckPolicy = {
  kind: 'user',
  cas: [blobOf('p256', 'older ca'), blobOf('ed25519', 'ca')],
  principals: ['root'],
  now,
};
const check = (wish: Partial<RawCertificate>, over: Partial<CheckPolicy> = {}): void => {
  checkCertificate(parseCertificate(rawCertificate(wish)), { ...policy, ...over });
};
function reasonOf(wish: Partial<RawCertificate>, over: Partial<CheckPolicy> = {}): CertFailure | 'accepted' {
  try {
    check(wish, over);
    return 'accepted';
  } catch (e) {
    if (e instanceof CertError) return e.reason;
    throw e;
  }
}
const by = (kind: KeyKind, purpose: string, alg: Parameters<typeof signSsh>[1]) => ({
  caBlob: blobOf(kind, purpose),
  sign: (signed: Buffer) => signSsh(keyOf(kind, purpose), alg, signed),
});
const sha1 =
  (label: string) =>
  (signed: Buffer): Buffer =>
    Buffer.concat([str(label), str(sign('sha1', signed, keyOf('rsa', 'ca')))]);

describe('checking a good certificate', () => {
  it('accepts it for one of its names', () => {
    expect(reasonOf({})).toBe('accepted');
    expect(reasonOf({ principals: ['a', 'root'] }, { principals: ['x', 'root'] })).toBe('accepted');
  });

  it.each(keyKinds)('accepts it for a key of type %s', (kind) => {
    expect(reasonOf({ key: publicKeyOf(keyOf(kind)) })).toBe('accepted');
  });

  it.each([
    ['ed25519', 'ssh-ed25519'],
    ['p256', 'ecdsa-sha2-nistp256'],
    ['p384', 'ecdsa-sha2-nistp384'],
    ['p521', 'ecdsa-sha2-nistp521'],
    ['rsa', 'rsa-sha2-256'],
    ['rsa', 'rsa-sha2-512'],
  ] as const)('accepts it by an authority of type %s that signs as %s', (kind, alg) => {
    expect(reasonOf(by(kind, 'ca', alg), { cas: [blobOf(kind, 'ca')] })).toBe('accepted');
  });
});

describe('who signed it', () => {
  it('refuses an authority of another cluster', () => {
    expect(reasonOf(by('ed25519', 'strange ca', 'ssh-ed25519'))).toBe('unknown-ca');
    expect(reasonOf({}, { cas: [] })).toBe('unknown-ca');
  });

  it('refuses our authority named, but another signing', () => {
    const { sign: signStrange } = by('ed25519', 'strange ca', 'ssh-ed25519');
    expect(reasonOf({ sign: signStrange })).toBe('bad-signature');
  });

  it.each(['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512'])('refuses SHA-1 of an RSA authority as %s', (label) => {
    const caBlob = blobOf('rsa', 'ca');
    expect(reasonOf({ caBlob, sign: sha1(label) }, { cas: [caBlob] })).toBe('bad-signature');
  });

  it('refuses a type of signature that does not fit the key of the authority', () => {
    const caBlob = blobOf('ed25519', 'ca');
    const { sign: signP256 } = by('p256', 'older ca', 'ecdsa-sha2-nistp256');
    expect(reasonOf({ caBlob, sign: signP256 })).toBe('bad-signature');
    const relabelled = (signed: Buffer): Buffer => {
      const whole = signSsh(keyOf('ed25519', 'ca'), 'ssh-ed25519', signed);
      return Buffer.concat([str('rsa-sha2-512'), whole.subarray(4 + 'ssh-ed25519'.length)]);
    };
    expect(reasonOf({ caBlob, sign: relabelled })).toBe('bad-signature');
  });

  it.each([
    ['nothing', () => Buffer.alloc(0)],
    [
      'bytes after it',
      (signed: Buffer) =>
        Buffer.concat([signSsh(keyOf('ed25519', 'ca'), 'ssh-ed25519', signed), Buffer.of(0)]),
    ],
  ])('refuses a signature with %s', (_name, signature) => {
    expect(reasonOf({ sign: signature })).toBe('bad-signature');
  });
});

describe('the kind', () => {
  it('refuses a host certificate for a user, and a user certificate for a host', () => {
    expect(reasonOf({ kind: 2 })).toBe('wrong-kind');
    expect(reasonOf({ kind: 1 }, { kind: 'host' })).toBe('wrong-kind');
  });
});

describe('the time', () => {
  const life = (validAfter: bigint, validBefore: bigint, over: Partial<CheckPolicy> = {}) =>
    reasonOf({ validAfter, validBefore }, over);

  it('lets a certificate begin up to a minute in the future', () => {
    expect(life(now + 60n, now + 100n)).toBe('accepted');
    expect(life(now + 61n, now + 100n)).toBe('not-yet-valid');
  });

  it('ends it on the second, whatever the tolerance', () => {
    expect(life(0n, now + 1n)).toBe('accepted');
    expect(life(0n, now)).toBe('expired');
    expect(life(0n, 0n, { now: 0n })).toBe('malformed');
  });

  it('never ends one that is for ever', () => {
    expect(life(0n, FOREVER, { now: FOREVER })).toBe('accepted');
  });

  it('refuses an end that is not after the beginning, also where the skew would reach', () => {
    expect(life(now + 30n, now + 10n)).toBe('malformed');
    expect(life(now + 30n, now + 30n)).toBe('malformed');
  });
});

describe('the names', () => {
  it.each([
    ['none', [], 'principal'],
    ['another', ['admin'], 'principal'],
    ['ours with another case', ['Root'], 'principal'],
    ['a pattern', ['*'], 'principal'],
    ['an empty one beside ours', ['root', ''], 'malformed'],
    ['a comma', ['root', 'a,b'], 'malformed'],
    ['a newline', ['root', 'a\nb'], 'malformed'],
    ['a carriage return', ['root\r'], 'malformed'],
  ] as const)('refuses a user certificate with %s', (_name, principals, reason) => {
    expect(reasonOf({ principals })).toBe(reason);
  });

  it('refuses an empty name, though the certificate has it too', () => {
    expect(reasonOf({ principals: [''] }, { principals: [''] })).toBe('malformed');
    expect(reasonOf({ principals: [] }, { principals: [] })).toBe('principal');
    expect(reasonOf({}, { principals: [] })).toBe('principal');
  });

  it.each([
    ['web.example.com', 'web.example.com', 'accepted'],
    ['WEB.example.com', 'web.Example.com', 'accepted'],
    ['*.example.com', 'web.example.com', 'accepted'],
    ['*.example.com', 'a.web.example.com', 'principal'],
    ['*.example.com', 'example.com', 'principal'],
    ['*.example.com', '.example.com', 'principal'],
    ['*.', 'web.', 'principal'],
    ['*', 'web', 'principal'],
    ['w*.example.com', 'web.example.com', 'principal'],
    ['*.0.0.1', '127.0.0.1', 'principal'],
  ] as const)('a host certificate for %s means %s: %s', (held, wanted, outcome) => {
    expect(reasonOf({ kind: 2, principals: [held] }, { kind: 'host', principals: [wanted] })).toBe(outcome);
  });
});

describe('critical options', () => {
  const option = (name: string, text: string): Partial<RawCertificate> => ({
    criticalOptions: [[name, text === '' ? Buffer.alloc(0) : str(text)]],
  });

  it('refuses one that nobody enforces', () => {
    expect(reasonOf(option('frobnicate@example.com', 'x'))).toBe('critical-option');
    expect(reasonOf(option('verify-required', ''))).toBe('critical-option');
    expect(reasonOf(option('force-command', '/bin/true'))).toBe('critical-option');
  });

  it('accepts one that the caller enforces, and hands out its text', () => {
    const wish = option('force-command', '/bin/true');
    expect(reasonOf(wish, { understood: ['force-command'] })).toBe('accepted');
    const c = parseCertificate(rawCertificate(wish));
    expect(optionText(c, 'force-command')).toBe('/bin/true');
    expect(optionText(c, 'source-address')).toBeUndefined();
  });

  it('refuses every one on a host certificate', () => {
    const host: Partial<CheckPolicy> = {
      kind: 'host',
      understood: ['force-command'],
      sourceAddress: '10.0.0.1',
    };
    expect(reasonOf({ kind: 2, ...option('force-command', 'x') }, host)).toBe('critical-option');
    expect(reasonOf({ kind: 2, ...option('source-address', '10.0.0.1') }, host)).toBe('critical-option');
  });

  it.each([
    ['10.0.0.0/8', '10.1.2.3', 'accepted'],
    ['10.0.0.0/8', '::ffff:10.1.2.3', 'accepted'],
    ['192.168.0.1,10.1.2.3', '10.1.2.3', 'accepted'],
    ['192.168.0.1, 10.1.2.3', '10.1.2.3', 'accepted'],
    ['fe80::/10', 'fe80::1%eth0', 'accepted'],
    ['10.0.0.0/8', '11.0.0.1', 'source-address'],
    ['0.0.0.0/0', '::1', 'source-address'],
    ['10.0.0.0/8', 'example.com', 'source-address'],
    ['10.0.0.0/8', '', 'source-address'],
    ['10.0.0.0/8', undefined, 'source-address'],
    ['', '10.1.2.3', 'source-address'],
    [',', '10.1.2.3', 'source-address'],
    ['10.0.0.0/8,nonsense', '10.1.2.3', 'source-address'],
    ['10.0.0.0/33', '10.1.2.3', 'source-address'],
    ['10.0.0.0/', '10.1.2.3', 'source-address'],
    ['10.0.0.0/8/8', '10.1.2.3', 'source-address'],
    ['10.0.0.0/-1', '10.1.2.3', 'source-address'],
    ['fe80::1%eth0', 'fe80::1', 'source-address'],
  ])('bound to %s, shown from %s: %s', (list, from, outcome) => {
    const over = from === undefined ? {} : { sourceAddress: from };
    expect(reasonOf(option('source-address', list), over)).toBe(outcome);
  });

  it('refuses a source-address that is no text', () => {
    const wish = { criticalOptions: [['source-address', Buffer.of(1, 2, 3)]] as const };
    expect(reasonOf(wish, { sourceAddress: '10.1.2.3' })).toBe('source-address');
  });
});

describe('revocation', () => {
  it('is asked last, and refuses', () => {
    expect(reasonOf({}, { revoked: (c) => c.keyId === 'alice' })).toBe('revoked');
    expect(reasonOf({}, { revoked: () => false })).toBe('accepted');
    const asked: string[] = [];
    reasonOf({ validBefore: now }, { revoked: (c) => asked.push(c.keyId) > 0 });
    expect(asked).toEqual([]);
  });
});
