import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkHostIdentity } from './check-host-identity.ts';
import { issueHostSshCertificate } from './host-certificate.ts';
import type { HostIdentity } from './host-identity.ts';
import { generateEd25519, generateP256, privateKeyPem } from './key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from './ssh-key.ts';
import { testNow } from './testing.ts';
import { issueHostTlsCertificate } from './tls-identity.ts';
import { createCaCertificate } from './x509.ts';

const hostId = '11111111-2222-4333-8444-555555555555';
const clusterName = 'example';
const authority = () => {
  const [ssh, tls] = [generateEd25519(), generateP256()];
  return { ssh, tls, pem: createCaCertificate({ clusterName, privateKey: tls, now: testNow }) };
};
const ca = authority();
const key = generateEd25519();

function issue(
  wish: { role?: string; hostId?: string; key?: typeof key; ca?: typeof ca } = {},
): HostIdentity {
  const to = { role: 'Node', hostId, key, ca, ...wish };
  const common = {
    hostId: to.hostId,
    clusterName,
    role: to.role,
    additionalPrincipals: [],
    now: testNow,
  };
  return {
    hostId: to.hostId,
    role: to.role,
    clusterName,
    privateKeyPem: privateKeyPem(to.key),
    sshCertificate: issueHostSshCertificate({
      ...common,
      publicKey: publicKeyOf(to.key),
      ca: to.ca.ssh,
      nodename: 'n',
    }),
    tlsCertificatePem: issueHostTlsCertificate({
      ...common,
      publicKey: createPublicKey(to.key),
      caPem: to.ca.pem,
      caKey: to.ca.tls,
    }),
    tlsCasPem: [to.ca.pem],
    sshHostCas: [toAuthorizedKeyLine(publicKeyOf(to.ca.ssh).blob)],
  };
}
const good = issue();

describe('checking that an identity is whole', () => {
  it('takes what was issued together, whenever it is looked at', () => {
    for (const role of ['Node', 'Proxy', 'Auth', 'Admin'])
      expect(() => {
        checkHostIdentity(issue({ role }));
      }).not.toThrow();
  });

  const strange = issue({ ca: authority() });
  const newKey = issue({ key: generateEd25519() });
  const proxy = issue({ role: 'Proxy' });
  const elsewhere = issue({ hostId: '99999999-2222-4333-8444-555555555555' });
  it.each<[string, Partial<HostIdentity>, string]>([
    [
      'another private key',
      { privateKeyPem: newKey.privateKeyPem },
      'the TLS certificate carries another key',
    ],
    ['the SSH certificate of another key', { sshCertificate: newKey.sshCertificate }, 'carries another key'],
    ['the SSH certificate of another role', { sshCertificate: proxy.sshCertificate }, 'as Proxy of example'],
    ['the TLS certificate of another role', { tlsCertificatePem: proxy.tlsCertificatePem }, 'as Proxy'],
    ['another host', { hostId: elsewhere.hostId }, 'the TLS certificate names'],
    ['the SSH certificate of another host', { sshCertificate: elsewhere.sshCertificate }, elsewhere.hostId],
    ['another TLS authority', { tlsCasPem: strange.tlsCasPem }, 'signed by none'],
    ['another SSH authority', { sshHostCas: strange.sshHostCas }, 'unknown-ca'],
    ['no authority', { tlsCasPem: [] }, 'signed by none'],
    ['no certificate', { sshCertificate: 'ssh-ed25519 AAAA' }, 'do not belong together'],
    ['another cluster', { clusterName: 'other' }, 'the TLS certificate names'],
  ])('refuses %s', (_what, change, message) => {
    expect(() => {
      checkHostIdentity({ ...good, ...change });
    }).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringContaining(message) as string }),
    );
  });
});
