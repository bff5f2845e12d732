import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../base/errors.ts';
import { compareVersions, readLoginAnswer, readPingAnswer } from './web-answers.ts';

const b64 = (text: string): string => Buffer.from(text).toString('base64');

describe("reading a proxy's answers", () => {
  it('takes what it says of itself', () => {
    expect(
      readPingAnswer({
        auth: { type: 'local', second_factor: 'otp' },
        proxy: { kube: {}, ssh: { listen_addr: '0.0.0.0:3023', public_addr: 'p:3080' } },
        server_version: '4.5.0',
        min_client_version: '3.0.0',
      }),
    ).toEqual({
      authType: 'local',
      secondFactor: 'otp',
      sshListenAddress: '0.0.0.0:3023',
      publicAddress: 'p:3080',
      sshPublicAddress: '',
      serverVersion: '4.5.0',
      minClientVersion: '3.0.0',
    });
  });
  it('takes certificates and authorities out of base64', () => {
    const answer = readLoginAnswer({
      username: 'joe',
      cert: b64('ssh-cert'),
      tls_cert: b64('pem'),
      host_signers: [{ domain_name: 'example', checking_keys: [b64('key')], tls_certs: [b64('ca')] }],
    });
    expect(answer).toEqual({
      username: 'joe',
      sshCertificate: 'ssh-cert',
      tlsCertificatePem: 'pem',
      hostSigners: [{ clusterName: 'example', checkingKeys: ['key'], tlsCertificatesPem: ['ca'] }],
    });
  });
  it('refuses a login without authorities', () => {
    expect(() =>
      readLoginAnswer({ username: 'joe', cert: b64('x'), tls_cert: b64('x'), host_signers: [] }),
    ).toThrow('host_signers is empty');
  });
  it('never crashes on anything', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (answer) => {
        for (const read of [readPingAnswer, readLoginAnswer])
          try {
            read(answer);
          } catch (e) {
            if (!isCoded(e, 'unavailable')) throw e;
          }
      }),
    );
  });
});

describe('comparing versions', () => {
  it('goes by numbers', () => {
    expect(compareVersions('4.5.0', '3.0.0')).toBeGreaterThan(0);
    expect(compareVersions('4.5.0', '4.10.0')).toBeLessThan(0);
    expect(compareVersions('4.5.0', '4.5.0-rc.1')).toBe(0);
    expect(() => compareVersions('4.5.0', 'new')).toThrow("'new' is not a version");
  });
});
