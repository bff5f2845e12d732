import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../../base/errors.ts';
import { testCredentials, testLogin } from '../testing.ts';
import { compareVersions, readAuthoritiesAnswer, readLoginAnswer, readPingAnswer } from './web-answers.ts';

const b64 = (text: string): string => Buffer.from(text).toString('base64');

const { sshCertificate, tlsCertificatePem: tlsPem, tlsCasPem } = testCredentials();
const tlsCertificatePem = tlsPem.trim();
const ca = tlsCasPem[0]?.trim() ?? '';
const key = testLogin().authorities[0]?.checkingKeys[0] ?? '';

const loginAnswer = (change: object = {}): object => ({
  username: 'joe',
  cert: b64(sshCertificate),
  tls_cert: b64(tlsCertificatePem),
  host_signers: [{ domain_name: 'example', checking_keys: [b64(key)], tls_certs: [b64(ca)] }],
  ...change,
});

describe("reading a proxy's answers", () => {
  it('takes what it says of itself', () => {
    expect(
      readPingAnswer({
        auth: { type: 'local', second_factor: 'otp' },
        proxy: {
          kube: {},
          ssh: { listen_addr: '0.0.0.0:3023', public_addr: 'p:3080', web_ways: ['web-tls', 'web', 'x', 1] },
        },
        server_version: '4.5.0',
        min_client_version: '3.0.0',
      }),
    ).toEqual({
      authType: 'local',
      secondFactor: 'otp',
      sshListenPort: 3023,
      publicAddress: { host: 'p', port: 3080 },
      sshPublicAddress: undefined,
      webWays: ['web', 'web-tls'],
      serverVersion: '4.5.0',
      minClientVersion: '3.0.0',
    });
  });
  it('takes certificates and authorities out of base64', () => {
    expect(readLoginAnswer(loginAnswer())).toEqual({
      username: 'joe',
      sshCertificate,
      tlsCertificatePem,
      hostSigners: [{ clusterName: 'example', checkingKeys: [key], tlsCertificatesPem: [ca] }],
    });
  });
  it('takes along nothing that stands beside a key or a certificate', () => {
    const lines = '\n@cert-authority * ssh-ed25519 AAAA x\n';
    const answer = loginAnswer({
      cert: b64(`${sshCertificate} a comment`),
      tls_cert: b64(`${lines}${tlsCertificatePem}${lines}`),
      host_signers: [{ domain_name: 'example', checking_keys: [b64(key)], tls_certs: [b64(lines + ca)] }],
    });
    expect(readLoginAnswer(answer)).toEqual(readLoginAnswer(loginAnswer()));
  });
  it.each([
    ['cert', { cert: b64(`${sshCertificate}\nHost *`) }],
    ['cert', { cert: b64('ssh-cert') }],
    ['tls_cert', { tls_cert: b64('pem') }],
    ['host_signers', { host_signers: [{ domain_name: 'a,*', checking_keys: [], tls_certs: [] }] }],
    ['host_signers', { host_signers: [{ domain_name: 'a b', checking_keys: [], tls_certs: [] }] }],
    [
      'host_signers',
      { host_signers: [{ domain_name: 'a\n@cert-authority *', checking_keys: [], tls_certs: [] }] },
    ],
    [
      'checking_keys',
      { host_signers: [{ domain_name: 'a', checking_keys: [b64(`${key}\n${key}`)], tls_certs: [] }] },
    ],
  ])('refuses a login whose %s is not what it should be', (field, change) => {
    expect(() => readLoginAnswer(loginAnswer(change))).toThrow(
      new RegExp(`^the proxy's answer is not understood by this version: ${field}`),
    );
  });
  it.each([
    '*:3023',
    '*.example:3023',
    'a b:1',
    'a,b:1',
    'a\nb:1',
    'a:0',
    'a:65536',
    '0.0.0.0:3023',
    'a',
    ':1',
  ])('refuses a proxy that is found at %j', (address) => {
    for (const field of ['public_addr', 'ssh_public_addr'])
      expect(() => readPingAnswer({ auth: { type: 'local' }, proxy: { ssh: { [field]: address } } })).toThrow(
        `${field} is ${JSON.stringify(address)}, not a host and a port`,
      );
  });
  it('refuses a login without authorities', () => {
    expect(() => readLoginAnswer(loginAnswer({ host_signers: [] }))).toThrow('host_signers is empty');
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

describe('reading what a proxy announces', () => {
  const nothing = { userSigner: '', announcement: undefined, withdrawn: [] };
  it('finds nothing where nothing is', () => {
    for (const empty of [{}, { host: {} }, { host: { withdrawn: [] } }, [], null, 'x'])
      expect(readAuthoritiesAnswer(empty)).toEqual(nothing);
  });
  it('takes a statement as it stands, and of claims only what has their form', () => {
    const announcement = { text: '{}', signatures: [{ keyId: 'k', ssh: 'AA==', tls: 'AA==' }] };
    const claim = { fingerprint: `SHA256:${'a'.repeat(43)}`, at: '2026-01-01T00:00:00.000Z', why: 'rotated' };
    const odd = { fingerprint: '\u001b[2J', at: 7, why: 'Run: this' };
    const read = readAuthoritiesAnswer({ host: { announcement, withdrawn: [odd, claim, 'x'] } });
    const unknown = { fingerprint: '?', at: '?', why: '?' };
    expect(read).toEqual({ userSigner: '', announcement, withdrawn: [unknown, claim, unknown] });
  });
  it('reads of many claims the last', () => {
    const withdrawn = Array.from({ length: 5000 }, () => ({}));
    expect(readAuthoritiesAnswer({ host: { withdrawn } }).withdrawn).toHaveLength(100);
  });
  it('refuses what is not a list, by name', () => {
    expect(() => readAuthoritiesAnswer({ host: { withdrawn: 'x' } })).toThrow('host.withdrawn is not a list');
    expect(() => readAuthoritiesAnswer({ host: { announcement: {} } })).toThrow('announcement.signatures');
  });
});
