import { createPublicKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { keyOf, testNow } from './testing.ts';
import { issueUserTlsCertificate, tlsIdentityOf } from './tls-identity.ts';
import { createCaCertificate, readCertificate } from './x509.ts';

const caKey = keyOf('p256', 'ca');
const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now: testNow });
const good = new X509Certificate(
  issueUserTlsCertificate({
    caPem,
    caKey,
    publicKey: createPublicKey(keyOf('ed25519')),
    identity: {
      username: 'älice',
      groups: ['admin'],
      principals: ['root'],
      routeToCluster: '',
      traits: { a: ['b'] },
    },
    now: testNow,
    ttlSeconds: 3600,
  }),
).raw;

/** Whether the bytes are a certificate that the authority signed. Everything but CodedError is a crash. */
function outcome(bytes: Buffer): 'accepted' | 'refused' {
  try {
    const certificate = readCertificate(bytes);
    tlsIdentityOf(certificate);
    return certificate.verify(createPublicKey(caKey)) ? 'accepted' : 'refused';
  } catch (e) {
    if (isCoded(e)) return 'refused';
    throw e;
  }
}

describe('an X.509 certificate that is not as it was signed', () => {
  it('is accepted unaltered', () => {
    expect(outcome(good)).toBe('accepted');
  });

  it('is refused with any one bit changed', () => {
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      if (outcome(bad) !== 'refused') expect.fail(`accepted with bit ${bit} changed`);
    }
  });

  it('is refused when cut anywhere, and with bytes put in', () => {
    for (let n = 0; n < good.length; n++) {
      expect(outcome(good.subarray(0, n))).toBe('refused');
      expect(outcome(Buffer.concat([good.subarray(0, n), Buffer.of(0), good.subarray(n)]))).toBe('refused');
    }
    expect(outcome(Buffer.concat([good, Buffer.of(0)]))).toBe('refused');
  });

  it('is refused when it is not a certificate at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(outcome(Buffer.from(bytes))).toBe('refused');
      }),
    );
  });
});
