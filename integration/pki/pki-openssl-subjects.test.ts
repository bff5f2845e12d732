import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hour, plusMs } from '../../src/base/time.ts';
import { generateEd25519, generateP256, privateKeyPem } from '../../src/pki/key-pair.ts';
import {
  issueHostTlsCertificate,
  issueUserTlsCertificate,
  tlsIdentityOf,
} from '../../src/pki/tls-identity.ts';
import { createCaCertificate } from '../../src/pki/x509.ts';
import { run, type Ran } from '../harness/run-program.ts';
import { hostAuthority, hostId, hostPair, now, userAuthority, userPair } from './pki-tls-pairs.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pki-subjects-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});
function save(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
async function openssl(...args: string[]): Promise<string> {
  const ran = await run('openssl', args);
  expect(ran, `openssl ${args.join(' ')}`).toMatchObject({ code: 0 });
  return ran.stdout;
}
const verify = (ca: string, leafPem: string): Promise<Ran> =>
  run('openssl', ['verify', '-x509_strict', '-CAfile', ca, save('leaf.pem', leafPem)]);

describe('the subject of a certificate that openssl made', () => {
  /**
   * `stringMask` says as which types of string openssl may write. Source:
   * ASN1_STRING_set_default_mask_asc(3).
   */
  async function made(subject: string, stringMask = 'utf8only'): Promise<X509Certificate> {
    const config = save(
      'req.cnf',
      `[req]\ndistinguished_name=dn\nprompt=no\nstring_mask=${stringMask}\nx509_extensions=v3\n` +
        `[dn]\n${subject}\n[v3]\nbasicConstraints=critical,CA:FALSE\n`,
    );
    const key = save('any.key', privateKeyPem(generateP256()));
    const path = join(directory, 'made.pem');
    await openssl('req', '-new', '-x509', '-utf8', '-key', key, '-config', config, '-out', path);
    return new X509Certificate(readFileSync(path));
  }

  it('is read over names of several values, as Go writes them', async () => {
    const certificate = await made('O=admin\n1.+O=dev\nL=root\n1.+L=bob\nCN=älice');
    // Two attributes in one name: openssl joins them by a plus.
    expect(await openssl('x509', '-in', join(directory, 'made.pem'), '-noout', '-subject')).toMatch(
      /O = admin \+ O = dev|O = dev \+ O = admin/,
    );
    const { username, groups, principals } = tlsIdentityOf(certificate);
    expect([username, [...groups].sort(), [...principals].sort()]).toEqual([
      'älice',
      ['admin', 'dev'],
      ['bob', 'root'],
    ]);
  });

  it.each([
    ['BMPString', 'MASK:2048'],
    ['T61String', 'MASK:4'],
  ])('is refused in %s, which can be read in two ways', async (_name, mask) => {
    const certificate = await made('O=admin\nCN=alice', mask);
    expect(() => tlsIdentityOf(certificate)).toThrow(
      expect.objectContaining({ code: 'access_denied' }) as Error,
    );
  });
});

describe('the identifier of an authority', () => {
  it('is the one that openssl computes of its key', async () => {
    const key = save('ca.key', privateKeyPem(hostAuthority.key));
    const own = save(
      'own.pem',
      await openssl(
        ...['req', '-new', '-x509', '-key', key, '-subj', '/CN=x', '-addext', 'subjectKeyIdentifier=hash'],
      ),
    );
    const idIn = async (path: string): Promise<string> => {
      const text = await openssl('x509', '-in', path, '-noout', '-ext', 'subjectKeyIdentifier');
      return /(?:[0-9A-F]{2}:){19}[0-9A-F]{2}/.exec(text)?.[0] ?? `none in ${text}`;
    };
    expect(await idIn(save('ca.pem', hostAuthority.pem))).toBe(await idIn(own));
  });
});

describe('authorities of one cluster', () => {
  it('are told apart in one file, as their names differ', async () => {
    const both = save('both.pem', userAuthority.pem + hostAuthority.pem);
    expect(await verify(both, userPair().cert)).toMatchObject({ code: 0 });
    expect(await verify(both, hostPair().cert)).toMatchObject({ code: 0 });
    const subjects = [userAuthority, hostAuthority].map(({ pem }) => new X509Certificate(pem).subject);
    expect(new Set(subjects).size).toBe(2);
  });

  it('may have a name longer than X.520 has room for', async () => {
    const clusterName = `${'a-very-long-label.'.repeat(8)}example.com`;
    const key = generateP256();
    const pem = createCaCertificate({ clusterName, privateKey: key, now });
    const signing = { caPem: pem, caKey: key, publicKey: createPublicKey(generateEd25519()), now };
    const host = issueHostTlsCertificate({
      ...signing,
      hostId,
      clusterName,
      role: 'Auth',
      additionalPrincipals: [],
    });
    expect(await verify(save('long.pem', pem), host)).toMatchObject({ code: 0 });
    expect(tlsIdentityOf(new X509Certificate(host)).username).toBe(`${hostId}.${clusterName}`);
  });
});

describe('a certificate whose time is over', () => {
  it('is refused by openssl for that reason', async () => {
    const expired = issueUserTlsCertificate({
      caPem: userAuthority.pem,
      caKey: userAuthority.key,
      publicKey: createPublicKey(generateEd25519()),
      identity: { username: 'alice', groups: ['admin'], principals: [], routeToCluster: '', traits: {} },
      now: plusMs(now, -2 * hour),
      ttlSeconds: 3600,
    });
    const { code, stderr } = await verify(save('user-ca.pem', userAuthority.pem), expired);
    expect(code).not.toBe(0);
    expect(stderr).toContain('certificate has expired');
  });
});
