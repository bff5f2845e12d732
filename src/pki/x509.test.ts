import { createHash, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import { keyOf, testNow } from './testing.ts';
import { attributesOf, derOf, fromDer, nameOf, oids, time, type Asn1 } from './x509-der.ts';
import {
  createCaCertificate,
  issueLeaf,
  readCertificate,
  selfSigned,
  subjectAttributes,
  type LeafRequest,
} from './x509.ts';

const secondMs = 1000;
const yearMs = 365 * 24 * 3600 * secondMs;
const atSecond = (at: string): string => at.replace(/\.\d+Z$/, '.000Z');
const caKey = keyOf('p256', 'ca');
const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now: testNow });
const ca = new X509Certificate(caPem);
const leafOf = (wish: Partial<LeafRequest> = {}): X509Certificate =>
  new X509Certificate(
    issueLeaf({
      caPem,
      caKey,
      publicKey: createPublicKey(keyOf('ed25519')),
      subject: [{ oid: oids.commonName, value: 'alice' }],
      names: [],
      now: testNow,
      ttlSeconds: 3600,
      ...wish,
    }),
  );
/** The extensions of a certificate: object identifier, criticality and data, as they stand. */
function extensionsOf(certificate: X509Certificate): Map<string, { critical: boolean; hex: string }> {
  const [toBeSigned] = fromDer(certificate.raw).value as Asn1[];
  const [list] = (toBeSigned?.value as Asn1[]).at(-1)?.value as Asn1[];
  return new Map(
    (list?.value as Asn1[]).map((one) => {
      const parts = one.value as Asn1[];
      const data = parts.at(-1)?.value as string;
      const name = Buffer.from(parts[0]?.value as string, 'latin1').toString('hex');
      return [name, { critical: parts.length === 3, hex: Buffer.from(data, 'latin1').toString('hex') }];
    }),
  );
}
/** Object identifiers of extensions, in hexadecimal. Source: RFC 5280, section 4.2.1. */
const ext = {
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  alternativeNames: '551d11',
  basicConstraints: '551d13',
  authorityKeyId: '551d23',
  extendedKeyUsage: '551d25',
};
const digitalSignature = '03020780';
const digitalSignatureKeyEncipherment = '030205a0';
const digitalSignatureCertSign = '03020284';

describe('creating an authority', () => {
  it('makes a self-signed one for ten years, beginning now', () => {
    expect(ca.verify(createPublicKey(caKey))).toBe(true);
    expect(ca.checkIssued(ca)).toBe(true);
    expect(ca.ca).toBe(true);
    expect(ca.validFromDate.toISOString()).toBe(atSecond(testNow));
    expect(ca.validToDate.toISOString()).toBe(atSecond(plusMs(testNow, 10 * yearMs)));
  });

  it('names it by its cluster and its own serial number in decimal', () => {
    expect(subjectAttributes(ca)).toEqual([
      { oid: oids.organization, value: 'example' },
      { oid: oids.commonName, value: 'example' },
      { oid: oids.serialNumber, value: BigInt(`0x${ca.serialNumber}`).toString() },
    ]);
  });

  it('gives each another serial of 128 bits, positive', () => {
    const serials = Array.from({ length: 20 }, () => leafOf().serialNumber);
    expect(new Set(serials).size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  it('writes the extensions of an authority', () => {
    const extensions = extensionsOf(ca);
    expect([...extensions.keys()].sort()).toEqual([ext.subjectKeyId, ext.keyUsage, ext.basicConstraints]);
    expect(extensions.get(ext.keyUsage)).toEqual({ critical: true, hex: digitalSignatureCertSign });
    expect(extensions.get(ext.basicConstraints)).toEqual({ critical: true, hex: '30030101ff' });
  });

  // Source: RFC 5280, section 4.2.1.2 (1): of the bits of the key, without their tag, length and unused bits.
  it('identifies the key by the SHA-1 of its point', () => {
    const { x = '', y = '' } = createPublicKey(caKey).export({ format: 'jwk' });
    const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
    const id = createHash('sha1').update(point).digest('hex');
    expect(extensionsOf(ca).get(ext.subjectKeyId)).toEqual({ critical: false, hex: `0414${id}` });
  });

  it('holds a name that is not ASCII', () => {
    const pem = createCaCertificate({ clusterName: 'zürich & co', privateKey: caKey, now: testNow });
    expect(subjectAttributes(new X509Certificate(pem))[0]?.value).toBe('zürich & co');
  });

  it.each(['a\nb', 'a\0b', '\ud800'])('refuses the name %j', (clusterName) => {
    expect(() => createCaCertificate({ clusterName, privateKey: caKey, now: testNow })).toThrow(
      expect.objectContaining({ code: 'bad_request' }) as Error,
    );
  });

  it.each(['rsa', 'p384'] as const)('refuses a key of type %s', (kind) => {
    expect(() =>
      createCaCertificate({ clusterName: 'example', privateKey: keyOf(kind), now: testNow }),
    ).toThrow('P-256 and Ed25519 keys only');
  });
});

describe('issuing a leaf', () => {
  it('signs it by the authority, back-dated by a minute', () => {
    const leaf = leafOf();
    expect(leaf.checkIssued(ca)).toBe(true);
    expect(leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.verify(createPublicKey(keyOf('p256')))).toBe(false);
    expect(leaf.ca).toBe(false);
    expect(leaf.validFromDate.toISOString()).toBe(atSecond(plusMs(testNow, -60 * secondMs)));
    expect(leaf.validToDate.toISOString()).toBe(atSecond(plusMs(testNow, 3600 * secondMs)));
    expect(leaf.publicKey.equals(createPublicKey(keyOf('ed25519')))).toBe(true);
  });

  it('writes the extensions of both ends of TLS, and whose key signed', () => {
    const extensions = extensionsOf(leafOf());
    expect([...extensions.keys()].sort()).toEqual(
      [ext.authorityKeyId, ext.basicConstraints, ext.extendedKeyUsage, ext.keyUsage].sort(),
    );
    expect(extensions.get(ext.keyUsage)).toEqual({ critical: true, hex: digitalSignature });
    expect(extensions.get(ext.basicConstraints)).toEqual({ critical: true, hex: '3000' });
    expect(extensions.get(ext.extendedKeyUsage)?.hex).toBe('301406082b0601050507030106082b06010505070302');
    const subjectKeyId = extensionsOf(ca).get(ext.subjectKeyId)?.hex.slice(4);
    expect(extensions.get(ext.authorityKeyId)?.hex).toBe(`30168014${subjectKeyId ?? '?'}`);
  });

  it.each<[string, KeyObject, string]>([
    ['Ed25519', keyOf('ed25519'), digitalSignature],
    ['P-256', keyOf('p256'), digitalSignature],
    ['RSA', keyOf('rsa'), digitalSignatureKeyEncipherment],
  ])('for a key of %s says what such a key is used for', (_name, key, usage) => {
    const leaf = leafOf({ publicKey: createPublicKey(key) });
    expect(extensionsOf(leaf).get(ext.keyUsage)?.hex).toBe(usage);
    expect(leaf.checkPrivateKey(key)).toBe(true);
  });

  it('writes names and addresses', () => {
    const names = ['web.example.com', '*.example.com', '10.0.0.1', '::1', 'fe80::a:0:0:1', '::ffff:1.2.3.4'];
    const leaf = leafOf({ names });
    expect(leaf.subjectAltName).toBe(
      'DNS:web.example.com, DNS:*.example.com, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1, ' +
        'IP Address:FE80:0:0:0:A:0:0:1, IP Address:0:0:0:0:0:FFFF:102:304',
    );
    expect(leaf.checkHost('a.example.com')).toBe('*.example.com');
    for (const address of ['10.0.0.1', '::1', 'fe80::a:0:0:1']) expect(leaf.checkIP(address)).toBe(address);
  });

  it.each(['bad name', 'a,b', 'a..b', '', '-a', 'münchen', 'fe80::1%eth0', 'a\0b', 'x'.repeat(64), 'a.*.b'])(
    'refuses the name %j',
    (name) => {
      expect(() => leafOf({ names: [name] })).toThrow(
        expect.objectContaining({ code: 'bad_request' }) as Error,
      );
    },
  );

  it('never lets it outlive its authority', () => {
    const late = plusMs(testNow, 10 * yearMs - 60_000);
    expect(leafOf({ now: late }).validToDate).toEqual(ca.validToDate);
    expect(() => leafOf({ now: plusMs(testNow, 10 * yearMs) })).toThrow(
      expect.objectContaining({ code: 'unavailable' }) as Error,
    );
  });

  it.each([0, -1, 1.5, NaN])('refuses a life of %d seconds', (ttlSeconds) => {
    expect(() => leafOf({ ttlSeconds })).toThrow(expect.objectContaining({ code: 'bad_request' }) as Error);
  });

  it('names the authority that it was given, also where one key has had several certificates', () => {
    const other = createCaCertificate({ clusterName: 'other', privateKey: caKey, now: testNow });
    for (const pem of [caPem, other, caPem]) {
      const issuer = new X509Certificate(pem);
      const leaf = leafOf({ caPem: pem });
      expect([leaf.issuer, leaf.checkIssued(issuer)]).toEqual([issuer.subject, true]);
      expect(() => leafOf({ caPem: pem, caKey: keyOf('p256', 'strange ca') })).toThrow('does not fit');
    }
  });

  it('refuses to sign with a key that is not of the authority', () => {
    expect(() => leafOf({ caKey: keyOf('p256', 'strange ca') })).toThrow('does not fit');
  });

  it('can be signed by an Ed25519 authority', () => {
    const key = keyOf('ed25519', 'ca');
    const pem = createCaCertificate({ clusterName: 'example', privateKey: key, now: testNow });
    const leaf = leafOf({ caPem: pem, caKey: key });
    expect(leaf.verify(createPublicKey(key))).toBe(true);
  });
});

describe('a certificate of its own authority', () => {
  it('holds for its names until its end', () => {
    const certificate = new X509Certificate(
      selfSigned({
        privateKey: caKey,
        subject: [{ oid: oids.commonName, value: 'localhost' }],
        names: ['localhost'],
        now: testNow,
        until: '2050-01-01T00:00:00.000Z',
      }),
    );
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.validToDate.toISOString()).toBe('2050-01-01T00:00:00.000Z');
    expect(certificate.checkHost('localhost')).toBe('localhost');
  });
});

describe('a time in a certificate', () => {
  // Source: RFC 5280, section 4.1.2.5.
  it('has two digits for the year until 2049, then four', () => {
    expect(time('2049-12-31T23:59:59.999Z').value).toBe('491231235959Z');
    expect(time('2050-01-01T00:00:00.000Z').value).toBe('20500101000000Z');
  });
});

describe('reading a certificate', () => {
  const leaf = leafOf();

  it('takes PEM and DER', () => {
    expect(readCertificate(caPem).raw).toEqual(ca.raw);
    expect(readCertificate(`\n${caPem}\n`).raw).toEqual(ca.raw);
    expect(readCertificate(leaf.raw).raw).toEqual(leaf.raw);
  });

  it.each<[string, string | Uint8Array]>([
    ['nothing', ''],
    ['a key', caKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    ['two certificates', caPem + caPem],
    ['text before it', `subject=example\n${caPem}`],
    ['bytes after it', Buffer.concat([leaf.raw, Buffer.of(0)])],
    ['half of it', leaf.raw.subarray(0, leaf.raw.length >> 1)],
  ])('refuses %s', (_name, input) => {
    expect(() => readCertificate(input)).toThrow(expect.objectContaining({ code: 'bad_request' }) as Error);
  });
});

describe('a distinguished name', () => {
  it('comes back in order, with every value of a repeated attribute', () => {
    const attributes = [
      { oid: oids.organization, value: 'b' },
      { oid: oids.organization, value: 'a' },
      { oid: oids.street, value: '' },
      { oid: oids.commonName, value: 'é@*_"' },
    ];
    expect(attributesOf(fromDer(derOf(nameOf(attributes))))).toEqual(attributes);
  });

  it.each(['a\nb', 'a\0b', 'a\x1b[0m', 'ä\u0085'])('is refused when it holds %j', (value) => {
    const name = fromDer(derOf(nameOf([{ oid: oids.commonName, value }])));
    expect(() => attributesOf(name)).toThrow('not sound text');
  });
});
