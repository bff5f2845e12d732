import { sign, verify, type KeyObject } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkCertificate } from '../../src/pki/check-ssh-certificate.ts';
import { hostIdentityOf, issueHostSshCertificate } from '../../src/pki/host-certificate.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { decodeOpensshPrivateKey, encodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { parseCertificate, type Certificate } from '../../src/pki/ssh-certificate.ts';
import {
  fingerprint,
  fromAuthorizedKeyLine,
  parsePublicKey,
  publicKeyOf,
  toAuthorizedKeyLine,
  type PublicKey,
} from '../../src/pki/ssh-key.ts';
import { issueUserSshCertificate, userIdentityOf } from '../../src/pki/user-certificate.ts';
import { WireError } from '../../src/pki/wire.ts';
import { run } from '../harness/run-program.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'pki-ssh-keygen-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function save(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}

/** What ssh-keygen prints; it must succeed. The zone makes its times those of UTC. */
async function keygen(...args: string[]): Promise<string> {
  const ran = await run('ssh-keygen', args, { env: { ...process.env, TZ: 'UTC' } });
  expect(ran, `ssh-keygen ${args.join(' ')}`).toMatchObject({ code: 0 });
  return ran.stdout;
}

const keyTypes = [
  ['ed25519', []],
  ['ecdsa', ['-b', '256']],
  ['ecdsa', ['-b', '384']],
  ['ecdsa', ['-b', '521']],
  ['rsa', ['-b', '2048']],
] as const;

let made = 0;
/** A key made by ssh-keygen: the path of its private half. */
async function makeKey(type: string, more: readonly string[] = []): Promise<string> {
  const path = join(directory, `key-${++made}`);
  await keygen('-q', '-t', type, ...more, '-N', '', '-C', 'made for a test', '-f', path);
  return path;
}
const readLine = (path: string): Buffer => fromAuthorizedKeyLine(readFileSync(path, 'utf8'));
const publicKeyAt = (path: string): PublicKey => parsePublicKey(readLine(`${path}.pub`));

const now = '2026-01-02T03:04:05.678Z';
const nowSeconds = BigInt(Date.parse('2026-01-02T03:04:05Z') / 1000);
const authority = generateEd25519();
const authorityBlob = publicKeyOf(authority).blob;

const issueUser = (publicKey: PublicKey, ca: KeyObject = authority): string =>
  issueUserSshCertificate({
    publicKey,
    ca,
    username: 'alice@example.com',
    principals: ['root', 'deploy'],
    roles: ['admin', 'developer'],
    traits: { logins: ['root'] },
    now,
    ttlSeconds: 3600,
    format: 'standard',
    permit: { pty: true, portForwarding: true, agentForwarding: false },
    routeToCluster: 'leaf',
  });

/** The indented lines below a heading of `ssh-keygen -L`. */
function below(listing: string, heading: string): string[] {
  const lines = listing.split('\n');
  const at = lines.findIndex((line) => line.trim() === `${heading}:`);
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => !/^ {16}/.test(line));
  return rest.slice(0, end).map((line) => line.trim());
}

describe('what we issue', () => {
  it.each(keyTypes)('is read by ssh-keygen -L: a person, with a key of type %s %j', async (type, more) => {
    const key = publicKeyAt(await makeKey(type, more));
    const listing = await keygen('-L', '-f', save(`user-${type}${more.join('')}-cert.pub`, issueUser(key)));
    expect(listing).toContain(`Type: ${key.type}-cert-v01@openssh.com user certificate`);
    expect(listing.split('\n').find((line) => line.includes('Public key:'))).toContain(fingerprint(key.blob));
    expect(listing).toContain(`Signing CA: ED25519 ${fingerprint(authorityBlob)} (using ssh-ed25519)`);
    expect(listing).toContain('Key ID: "alice@example.com"');
    expect(listing).toContain('Valid: from 2026-01-02T03:03:05 to 2026-01-02T04:04:05');
    expect(below(listing, 'Principals')).toEqual(['root', 'deploy']);
    expect(listing).toContain('Critical Options: (none)');
    const extensions = below(listing, 'Extensions').map((line) => line.split(' ')[0]);
    expect(extensions).toEqual([
      'permit-port-forwarding',
      'permit-pty',
      'teleport-roles',
      'teleport-route-to-cluster',
      'teleport-traits',
    ]);
  });

  it('is read by ssh-keygen -L: a machine, for ever', async () => {
    const key = publicKeyAt(await makeKey('ed25519'));
    const line = issueHostSshCertificate({
      publicKey: key,
      ca: authority,
      hostId: '00000000-0000-4000-8000-000000000001',
      nodename: 'web-1',
      clusterName: 'example.com',
      role: 'Node',
      additionalPrincipals: ['10.0.0.7'],
      now,
    });
    const listing = await keygen('-L', '-f', save('host-cert.pub', line));
    expect(listing).toContain('Type: ssh-ed25519-cert-v01@openssh.com host certificate');
    expect(listing).toContain('Valid: after 2026-01-02T03:03:05');
    const principals = below(listing, 'Principals');
    expect(principals[0]).toBe('00000000-0000-4000-8000-000000000001.example.com');
    expect(principals).toEqual(expect.arrayContaining(['web-1.example.com', 'web-1', '10.0.0.7']));
    for (const own of ['localhost', '127.0.0.1', '::1']) expect(principals).not.toContain(own);
    const certificate = parseCertificate(fromAuthorizedKeyLine(line));
    expect(hostIdentityOf(certificate)).toMatchObject({ role: 'Node', clusterName: 'example.com' });
  });
});

describe('what ssh-keygen issues', () => {
  const interval = ['-V', '20260102030405Z:20260102040405Z'];
  const check = (certificate: Certificate, ca: Buffer): void => {
    checkCertificate(certificate, {
      kind: 'user',
      cas: [ca],
      principals: ['bob'],
      now: nowSeconds,
      sourceAddress: '10.1.2.3',
    });
  };
  const authorityTypes = [
    ['ed25519', []],
    ['ecdsa', ['-b', '384']],
    ['rsa', ['-b', '2048']],
  ] as const;
  const pairs = keyTypes.flatMap((key) => authorityTypes.map((ca) => [...key, ...ca] as const));

  it.each(pairs)('is read and checked by us: %s %j by %s %j', async (type, more, caType, caMore) => {
    const ca = await makeKey(caType, caMore);
    const user = await makeKey(type, more);
    const options = ['-O', 'clear', '-O', 'permit-pty', '-O', 'source-address=10.0.0.0/8'];
    await keygen(
      ...['-q', '-s', ca, '-I', 'bob smith', '-n', 'alice,bob', '-z', '7'],
      ...[...interval, ...options, `${user}.pub`],
    );
    const certificate = parseCertificate(readLine(`${user}-cert.pub`));
    expect(certificate).toMatchObject({
      kind: 'user',
      keyId: 'bob smith',
      serial: 7n,
      principals: ['alice', 'bob'],
      validAfter: nowSeconds,
      validBefore: nowSeconds + 3600n,
    });
    expect([...certificate.criticalOptions.keys()]).toEqual(['source-address']);
    expect([...certificate.extensions.keys()]).toEqual(['permit-pty']);
    expect(certificate.key.blob).toEqual(readLine(`${user}.pub`));
    expect(userIdentityOf(certificate)).toMatchObject({ username: 'bob smith', roles: [] });
    check(certificate, readLine(`${ca}.pub`));
    expect(() => {
      check(certificate, authorityBlob);
    }).toThrow('unknown-ca');
  });

  it('with SHA-1 is refused', async () => {
    const ca = await makeKey('rsa', ['-b', '2048']);
    const user = await makeKey('ed25519');
    await keygen('-q', '-s', ca, '-t', 'ssh-rsa', '-I', 'bob', '-n', 'bob', ...interval, `${user}.pub`);
    expect(() => {
      check(parseCertificate(readLine(`${user}-cert.pub`)), readLine(`${ca}.pub`));
    }).toThrow('bad-signature');
  });

  it('without principals is refused', async () => {
    const ca = await makeKey('ed25519');
    const user = await makeKey('ed25519');
    await keygen('-q', '-s', ca, '-I', 'bob', ...interval, `${user}.pub`);
    expect(() => {
      check(parseCertificate(readLine(`${user}-cert.pub`)), readLine(`${ca}.pub`));
    }).toThrow('without principals');
  });
});

describe('private keys in files', () => {
  // The length of the comment moves the padding through all its lengths.
  it.each(['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'alice@example.com'])(
    'of ours are read by ssh-keygen -y, with the comment "%s"',
    async (comment) => {
      const key = generateEd25519();
      const path = save('id_of_ours', encodeOpensshPrivateKey(key, comment));
      const line = toAuthorizedKeyLine(publicKeyOf(key).blob, comment);
      expect(await keygen('-y', '-P', '', '-f', path)).toBe(`${line}\n`);
    },
  );

  it('of ssh-keygen are read by us, and sign as the public half says', async () => {
    const path = await makeKey('ed25519');
    const key = decodeOpensshPrivateKey(readFileSync(path, 'utf8'));
    expect(publicKeyOf(key).blob).toEqual(readLine(`${path}.pub`));
    const data = Buffer.from('data');
    expect(verify(null, data, publicKeyAt(path).key, sign(null, data, key))).toBe(true);
  });

  it('of ssh-keygen with a passphrase, and of other types, are refused', async () => {
    const path = join(directory, 'with-passphrase');
    await keygen('-q', '-t', 'ed25519', '-N', 'secret passphrase', '-f', path);
    expect(() => decodeOpensshPrivateKey(readFileSync(path, 'utf8'))).toThrow('has a passphrase');
    const ecdsa = readFileSync(await makeKey('ecdsa'), 'utf8');
    expect(() => decodeOpensshPrivateKey(ecdsa)).toThrow(WireError);
  });
});

describe('fingerprints', () => {
  it.each(keyTypes)('are those of ssh-keygen -l: %s %j', async (type, more) => {
    const path = await makeKey(type, more);
    expect(await keygen('-l', '-f', `${path}.pub`)).toContain(` ${fingerprint(readLine(`${path}.pub`))} `);
  });
});
