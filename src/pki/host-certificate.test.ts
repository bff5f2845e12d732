import { describe, expect, it } from 'vitest';
import { checkCertificate } from './check-ssh-certificate.ts';
import { hostIdentityOf, issueHostSshCertificate, type HostCertificateRequest } from './host-certificate.ts';
import { FOREVER, parseCertificate, type Certificate } from './ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from './ssh-key.ts';
import { blobOf, keyOf, rawCertificate, testNow, testNowSeconds, type RawCertificate } from './testing.ts';
import { str, WireError } from './wire.ts';

const hostId = '11111111-2222-4333-8444-555555555555';
const request: HostCertificateRequest = {
  publicKey: publicKeyOf(keyOf('ed25519')),
  ca: keyOf('ed25519', 'ca'),
  hostId,
  nodename: 'web1',
  clusterName: 'example',
  role: 'Node',
  additionalPrincipals: ['web1', '10.0.0.1', 'web1.lan'],
  now: testNow,
};
const issue = (wish: Partial<HostCertificateRequest> = {}): Certificate =>
  parseCertificate(fromAuthorizedKeyLine(issueHostSshCertificate({ ...request, ...wish })));

describe('issuing the SSH certificate of a machine', () => {
  it('writes the fields that 4.4 writes, and a serial number', () => {
    const c = issue({ serial: 7n });
    expect(c).toMatchObject({
      kind: 'host',
      serial: 7n,
      keyId: '',
      validAfter: testNowSeconds - 60n,
      validBefore: FOREVER,
    });
    expect(c.criticalOptions.size).toBe(0);
    expect([...c.extensions]).toEqual([
      ['x-teleport-authority', str('example')],
      ['x-teleport-role', str('Node')],
    ]);
  });

  it('names the host first by its id, and every name once', () => {
    expect(issue().principals).toEqual([
      `${hostId}.example`,
      hostId,
      'web1.example',
      'web1',
      '10.0.0.1',
      'web1.lan',
    ]);
  });

  it('leaves out the name of a machine that has none', () => {
    expect(issue({ nodename: '', additionalPrincipals: [] }).principals).toEqual([
      `${hostId}.example`,
      hostId,
    ]);
  });

  it('names an administrator by its id alone', () => {
    expect(issue({ role: 'Admin', additionalPrincipals: [] }).principals).toEqual([hostId]);
  });

  it('passes the check for its names', () => {
    for (const name of ['web1', `${hostId}.example`, '10.0.0.1'])
      checkCertificate(issue(), {
        kind: 'host',
        cas: [blobOf('ed25519', 'ca')],
        principals: [name],
        now: testNowSeconds,
      });
  });

  it.each(['', 'a,b', 'a\nb'])('refuses the additional name %j', (name) => {
    expect(() => issue({ additionalPrincipals: [name] })).toThrow(
      expect.objectContaining({ code: 'bad_request' }) as Error,
    );
  });
});

describe('reading the SSH certificate of a machine', () => {
  const authority = ['x-teleport-authority', str('example')] as const;
  const role = ['x-teleport-role', str('Node')] as const;

  it('gives back its name, role and cluster', () => {
    expect(hostIdentityOf(issue())).toEqual({
      hostFqdn: `${hostId}.example`,
      role: 'Node',
      clusterName: 'example',
    });
  });

  it.each<[string, Partial<RawCertificate>]>([
    ['of a user', { kind: 1, extensions: [authority, role] }],
    ['without a role', { kind: 2, extensions: [authority] }],
    ['without a cluster', { kind: 2, extensions: [role] }],
    ['with an empty role', { kind: 2, extensions: [authority, ['x-teleport-role', str('')]] }],
    ['without a name', { kind: 2, principals: [], extensions: [authority, role] }],
  ])('refuses one %s', (_name, wish) => {
    expect(() => hostIdentityOf(parseCertificate(rawCertificate(wish)))).toThrow(WireError);
  });
});
