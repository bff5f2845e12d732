import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import { testNow } from './testing.ts';
import { selfSignedWebCertificate } from './web-certificate.ts';

describe('a self-signed certificate for the web', () => {
  const { keyPem, certificatePem } = selfSignedWebCertificate({
    hostnames: ['proxy.example.com', '10.0.0.1', 'localhost', 'bad name'],
    now: testNow,
  });
  const certificate = new X509Certificate(certificatePem);

  it('fits its key and vouches for itself', () => {
    expect(certificate.checkPrivateKey(createPrivateKey(keyPem))).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
  });

  it('holds for its names and for this machine, each once', () => {
    expect(certificate.subjectAltName).toBe(
      'DNS:proxy.example.com, IP Address:10.0.0.1, DNS:localhost, IP Address:127.0.0.1, ' +
        'IP Address:0:0:0:0:0:0:0:1',
    );
  });

  it('lasts a year, and began a minute ago', () => {
    const before = plusMs(testNow, -60_000).replace(/\.\d+/, '.000');
    expect(certificate.validFromDate.toISOString()).toBe(before);
    const year = plusMs(testNow, 365 * 24 * 3600 * 1000).replace(/\.\d+/, '.000');
    expect(certificate.validToDate.toISOString()).toBe(year);
  });
});
