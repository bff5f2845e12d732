import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CertError, checkCertificate } from './check-ssh-certificate.ts';
import { hostIdentityOf } from './host-certificate.ts';
import { issueCertificate, parseCertificate, type IssueOptions } from './ssh-certificate.ts';
import { fromAuthorizedKeyLine, parsePublicKey, publicKeyOf, splitSignature } from './ssh-key.ts';
import { decodeOpensshPrivateKey } from './openssh-private-key.ts';
import { blobOf, keyOf, rawCertificate, testNowSeconds } from './testing.ts';
import { tlsIdentityOf } from './tls-identity.ts';
import { userIdentityOf } from './user-certificate.ts';
import { str, WireError } from './wire.ts';
import { readCertificate } from './x509.ts';

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
/** Bytes that get further than chance would: SSH strings, in which any bytes stand. */
const anyStrings = fc
  .array(
    fc.oneof(
      anyBytes.map((bytes) => str(bytes)),
      fc.string().map((text) => str(text)),
      anyBytes,
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));
const bytes = fc.oneof(anyBytes, anyStrings);

/** What is thrown; undefined when nothing is. */
function thrownBy(act: () => unknown): unknown {
  try {
    act();
    return undefined;
  } catch (e) {
    return e;
  }
}

describe('any bytes', () => {
  const pem = (label: string, body: Buffer): string =>
    `-----BEGIN ${label}-----\n${body.toString('base64')}\n-----END ${label}-----\n`;
  const names = ['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'ssh-ed25519-cert-v01@openssh.com'];
  const parsers: Record<string, (input: Buffer, name: string) => unknown> = {
    parsePublicKey: (input, name) => parsePublicKey(Buffer.concat([str(name), input])),
    parseCertificate: (input, name) => parseCertificate(Buffer.concat([str(name), input])),
    splitSignature: (input) => splitSignature(input),
    fromAuthorizedKeyLine: (input, name) => fromAuthorizedKeyLine(`${name} ${input.toString('latin1')}`),
    decodeOpensshPrivateKey: (input) =>
      decodeOpensshPrivateKey(
        pem('OPENSSH PRIVATE KEY', Buffer.concat([Buffer.from('openssh-key-v1\0'), input])),
      ),
  };
  it.each(Object.entries(parsers))('make %s throw WireError or nothing', (_name, parse) => {
    fc.assert(
      fc.property(bytes, fc.constantFrom(...names), (input, name) => {
        const thrown = thrownBy(() => parse(input, name));
        if (thrown !== undefined) expect(thrown).toBeInstanceOf(WireError);
      }),
      { numRuns: 500 },
    );
  });

  it('are no X.509 certificate and no identity', () => {
    fc.assert(
      fc.property(bytes, (input) => {
        for (const form of [input, pem('CERTIFICATE', input), input.toString('latin1')])
          expect(thrownBy(() => readCertificate(form))).toMatchObject({ code: 'bad_request' });
        expect(thrownBy(() => tlsIdentityOf(input))).toMatchObject({ code: 'access_denied' });
      }),
    );
  });

  const json = fc.json().map((text) => str(text));
  const extensionNames = [
    'teleport-roles',
    'teleport-route-to-cluster',
    'teleport-traits',
    'x-teleport-authority',
    'x-teleport-role',
  ];
  const extensions = fc
    .dictionary(fc.constantFrom(...extensionNames), fc.oneof(bytes, json))
    .map((all) => Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));

  it('in the extensions of a certificate make its readers throw WireError or nothing', () => {
    fc.assert(
      fc.property(extensions, fc.constantFrom(1, 2), (list, kind) => {
        const certificate = parseCertificate(rawCertificate({ kind, extensions: list }));
        for (const read of [userIdentityOf, hostIdentityOf]) {
          const thrown = thrownBy(() => read(certificate));
          if (thrown !== undefined) expect(thrown).toBeInstanceOf(WireError);
        }
      }),
    );
  });

  it('in a critical option are refused by CertError', () => {
    fc.assert(
      fc.property(bytes, (data) => {
        const c = parseCertificate(rawCertificate({ criticalOptions: [['source-address', data]] }));
        const policy = { kind: 'user', cas: [blobOf('ed25519', 'ca')], principals: ['root'] } as const;
        const check = (): void => {
          checkCertificate(c, { ...policy, now: testNowSeconds, sourceAddress: '10.0.0.1' });
        };
        expect(thrownBy(check)).toBeInstanceOf(CertError);
      }),
    );
  });
});

describe('any texts', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.string({ unit: 'binary', maxLength: 6 }),
    fc.constantFrom('', 'root', 'a,b', 'a\nb', 'a\0b', '\x7f', '\x85', '\ud800', 'é', '__proto__'),
  );
  const options = (wish: Partial<IssueOptions>): IssueOptions => ({
    key: publicKeyOf(keyOf('ed25519')),
    ca: keyOf('ed25519', 'ca'),
    kind: 'user',
    keyId: 'alice',
    principals: ['root'],
    validAfter: testNowSeconds,
    validBefore: testNowSeconds + 60n,
    ...wish,
  });

  it('are refused as bad_request, or come back in a certificate that passes the check', () => {
    const record = fc.dictionary(text, text, { maxKeys: 3 });
    fc.assert(
      fc.property(
        text,
        fc.array(text, { maxLength: 3 }),
        record,
        record,
        (keyId, principals, critical, ext) => {
          const wish = options({ keyId, principals, criticalOptions: critical, extensions: ext });
          let blob: Buffer;
          try {
            blob = issueCertificate(wish);
          } catch (e) {
            expect(e).toMatchObject({ code: 'bad_request' });
            return;
          }
          const c = parseCertificate(blob);
          expect(c).toMatchObject({ keyId, principals });
          expect([...c.extensions.keys()].sort()).toEqual(Object.keys(ext).sort());
          const policy = { kind: 'user', cas: [blobOf('ed25519', 'ca')], principals } as const;
          checkCertificate(c, { ...policy, now: testNowSeconds, understood: Object.keys(critical) });
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each<[string, Partial<IssueOptions>]>([
    ['half of a surrogate pair in a principal', { principals: ['\ud800'] }],
    ['half of a surrogate pair in the key id', { keyId: '\udc00' }],
    ['NUL in the name of an extension', { extensions: { 'a\0b': '' } }],
    ['NUL in the text of an extension', { extensions: { route: 'a\0b' } }],
    ['an extension without a name', { extensions: { '': 'x' } }],
    ['NUL in a critical option', { criticalOptions: { 'force-command': 'a\0b' } }],
    ['a critical option of a host', { kind: 'host', criticalOptions: { 'force-command': 'x' } }],
    ['a negative serial number', { serial: -1n }],
    ['a serial number of 65 bits', { serial: 1n << 64n }],
  ])('are not certified: %s', (_name, wish) => {
    expect(thrownBy(() => issueCertificate(options(wish)))).toMatchObject({ code: 'bad_request' });
  });
});
