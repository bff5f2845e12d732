import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { plusMs } from '../../../base/time.ts';
import { readCredentials } from './client-identity.ts';
import { type TshHome, homeAt } from './home.ts';
import { identityFileText, parseIdentity, readIdentityFile } from './identity-file.ts';
import { loadIdentity } from './key-store.ts';
import { addressesOf } from './login.ts';
import { main } from '../main.ts';
import { saveProfile } from './profile.ts';
import { storeLogin } from './store-login.ts';
import { testCredentials, testEnd, testIo, testLogin, testNow } from '../testing.ts';
import { readPingAnswer } from '../cluster/web-answers.ts';

let parent: string;
let home: TshHome;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'tsh-'));
  home = homeAt(join(parent, 'home'));
});
afterEach(() => {
  rmSync(parent, { recursive: true });
});

const store = async (proxyHost = 'proxy', username = 'joe'): Promise<void> => {
  await storeLogin(
    { home, useAgent: false, debug: false },
    testIo(home.directory),
    testLogin(proxyHost, username),
  );
};

/** Runs tsh with this home. */
async function tsh(line: string, now = testNow): Promise<{ status: number; out: string; err: string }> {
  const io = testIo(home.directory, now);
  const status = await main(line.split(' ').filter(Boolean), io);
  return { status, out: io.out(), err: io.err() };
}

describe('keeping a login', () => {
  it('writes the files that ssh -i finds, for the owner alone', async () => {
    await store();
    const folder = join(home.keys, 'proxy');
    expect(readdirSync(folder).sort()).toEqual([
      'certs.pem',
      'joe',
      'joe-cert.pub',
      'joe-x509.pem',
      'joe.pub',
    ]);
    expect([folder, join(folder, 'joe')].map((p) => statSync(p).mode & 0o777)).toEqual([0o700, 0o600]);
    expect(readFileSync(join(folder, 'joe'), 'utf8')).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----\n/);
    expect(readFileSync(join(folder, 'joe-cert.pub'), 'utf8')).toMatch(
      /^ssh-ed25519-cert-v01@openssh\.com \S+\n$/,
    );
    expect(readFileSync(join(home.directory, 'known_hosts'), 'utf8')).toMatch(
      /^@cert-authority \*\.example,/,
    );
  });
  it('reads it back, with the authorities of its proxy', async () => {
    await store();
    const identity = loadIdentity(home, 'proxy', 'joe');
    expect([identity?.username, identity?.clusterName, identity?.hostAuthorities.length]).toEqual([
      'joe',
      'example',
      1,
    ]);
    expect(loadIdentity(home, 'proxy', 'ann')).toBeUndefined();
  });
  it('refuses a certificate beside another key', async () => {
    await store();
    writeFileSync(home.keyFiles('proxy', 'joe').privateKey, testCredentials().privateKeyPem);
    expect(() => loadIdentity(home, 'proxy', 'joe')).toThrow('the SSH certificate is for another key');
  });
});

describe('checking what a proxy sent', () => {
  it('refuses certificates for another key, SSH or TLS', () => {
    const [mine, other] = [testCredentials(), testCredentials()];
    expect(() => readCredentials({ ...mine, sshCertificate: other.sshCertificate })).toThrow(
      'SSH certificate is for',
    );
    expect(() => readCredentials({ ...mine, tlsCertificatePem: other.tlsCertificatePem })).toThrow(
      'TLS certificate is for',
    );
    expect(() => readCredentials({ ...mine, sshCertificate: 'junk' })).toThrow(
      'the certificates cannot be used',
    );
  });
});

describe('an identity file', () => {
  it('holds all that a login brings', () => {
    const { credentials, authorities, profile } = testLogin();
    const identity = parseIdentity(
      identityFileText(credentials, authorities, { ...profile, clusterName: 'example' }),
      'f',
    );
    expect([identity.username, identity.clusterName, identity.hostAuthorities.length]).toEqual([
      'joe',
      'example',
      1,
    ]);
    expect(identity.tlsCasPem).toHaveLength(1);
  });
  it('is refused when others than its owner may read it', async () => {
    const { credentials, authorities, profile } = testLogin();
    const path = join(parent, 'identity');
    writeFileSync(path, identityFileText(credentials, authorities, { ...profile, clusterName: 'example' }));
    for (const mode of [0o644, 0o640, 0o604, 0o660]) {
      chmodSync(path, mode);
      const { status, err } = await tsh(`ls --proxy=proxy -i ${path}`);
      expect(status).toBe(1);
      expect(err).toMatch(
        /^error: the identity file \S+ holds a private key that others may read \(mode 06\d\d\), it is not used: chmod 0600 /,
      );
    }
    for (const mode of [0o600, 0o400]) {
      chmodSync(path, mode);
      expect(readIdentityFile(path).username).toBe('joe');
    }
  });
  it('is refused when a part is missing', () => {
    expect(() => parseIdentity(testCredentials().privateKeyPem, '/f')).toThrow('/f is not an identity file');
  });
});

describe('tsh status', () => {
  it('says so when nobody is logged in', async () => {
    expect(await tsh('status')).toEqual({ status: 0, out: 'Not logged in.\n', err: '' });
  });
  it('shows all logins, the last one first and marked', async () => {
    await store('alpha');
    await store('beta', 'ann');
    const { out } = await tsh('status');
    expect(out).toMatch(
      /^> Profile URL: {2}https:\/\/beta:3080\n {2}Logged in as: ann\n {2}Cluster: {6}example\n {2}Roles: {8}admin\n {2}Logins: {7}root, joe\n {2}Valid until: {2}2026-01-31 20:00:00 \+0000 UTC \[valid for 12h0m0s\]\n {2}Extensions: {3}permit-port-forwarding, permit-pty\n\n {2}Profile URL: {2}https:\/\/alpha:3080\n/,
    );
  });
});

describe('tsh login', () => {
  it('asks nobody while the certificate is good', async () => {
    await store('alpha');
    await store('beta');
    const { status, out } = await tsh('login --proxy=alpha');
    expect([status, out.slice(0, 35)]).toEqual([0, '> Profile URL:  https://alpha:3080\n']);
    expect(readFileSync(home.currentProfile, 'utf8')).toBe('alpha\n');
  });
});

describe('tsh logout', () => {
  it('forgets one login', async () => {
    await store();
    await store('proxy', 'ann');
    expect((await tsh('logout --proxy=proxy --user=joe')).out).toBe('Logged out joe from proxy.\n');
    expect([loadIdentity(home, 'proxy', 'joe'), loadIdentity(home, 'proxy', 'ann')?.username]).toEqual([
      undefined,
      'ann',
    ]);
    expect(await tsh('logout --proxy=proxy --user=joe')).toMatchObject({
      status: 1,
      err: 'error: User joe already logged out from proxy.\n',
    });
  });
  it('forgets all, and keeps the addresses', async () => {
    await store();
    expect((await tsh('logout')).out).toBe('Logged out all users from all proxies.\n');
    expect((await tsh('logout')).out).toBe('All users logged out.\n');
    expect(readdirSync(home.directory).sort()).toEqual([
      'current-profile',
      'keys',
      'known_hosts',
      'proxy.learnt',
      'proxy.yaml',
    ]);
  });
  it('wants both proxy and user, or neither', async () => {
    const { status, out } = await tsh('logout --user=joe');
    expect([status, out.slice(0, 6)]).toEqual([0, 'Usage:']);
  });
});

describe('tsh env', () => {
  it('prints what a shell can take', async () => {
    await store();
    expect((await tsh('env')).out).toBe(
      'export TELEPORT_PROXY=proxy:3080\nexport TELEPORT_CLUSTER=example\n',
    );
    expect((await tsh('env --unset')).out).toBe('unset TELEPORT_PROXY\nunset TELEPORT_CLUSTER\n');
  });
});

describe('a command that needs a login, without a terminal', () => {
  it('says how to log in when there was none', async () => {
    expect(await tsh('ls --proxy=proxy --user=joe')).toMatchObject({
      status: 1,
      err: "error: you are not logged in: log in with 'tsh login --proxy=proxy --user=joe'\n",
    });
  });
  it('says when the certificate ended, at the very moment', async () => {
    await store();
    const { status, err } = await tsh('ssh root@node1 id', testEnd);
    expect(status).toBe(1);
    expect(err).toBe(
      "error: the certificate of user 'joe' for proxy expired at 2026-01-31T20:00:00.000Z: log in with 'tsh login --proxy=proxy --user=joe'\n",
    );
    expect((await tsh('status', plusMs(testEnd, 1))).out).toContain('[EXPIRED]');
  });
  it('says which proxy is missing before the first login', async () => {
    expect((await tsh('ls')).err).toBe('error: No proxy address specified, missed --proxy flag?\n');
  });
  it('says which file is damaged', async () => {
    await saveProfile(home, testLogin().profile);
    writeFileSync(home.profile('proxy'), 'user: [');
    expect((await tsh('status')).err).toContain(`error: the profile ${home.profile('proxy')} cannot be used`);
  });
});

describe('taking addresses from what a proxy says', () => {
  const answer = (ssh: object): ReturnType<typeof readPingAnswer> =>
    readPingAnswer({ auth: { type: 'local', second_factor: 'off' }, proxy: { ssh } });
  const web = { host: 'typed', port: 3080 };
  const settings = (text?: { webPort?: number; sshPort?: number }): Parameters<typeof addressesOf>[2] => ({
    proxy: { host: 'typed', webPort: text?.webPort, sshPort: text?.sshPort },
    profile: undefined,
  });

  it('uses only the port of the address it listens on', () => {
    expect(addressesOf(web, answer({ listen_addr: '0.0.0.0:13023' }), settings())).toEqual({
      proxyHost: 'typed',
      web,
      ssh: { host: 'typed', port: 13023 },
    });
  });
  it('moves to the public addresses, under the name that was typed', () => {
    const public_ = answer({ listen_addr: ':1', public_addr: 'pub:443', ssh_public_addr: 'sshpub:2223' });
    expect(addressesOf(web, public_, settings())).toEqual({
      proxyHost: 'typed',
      web: { host: 'pub', port: 443 },
      ssh: { host: 'sshpub', port: 2223 },
    });
  });
  it('lets the command line have the last word on the SSH port', () => {
    expect(
      addressesOf(web, answer({ ssh_public_addr: 'sshpub:2223' }), settings({ sshPort: 9 })).ssh,
    ).toEqual({
      host: 'typed',
      port: 9,
    });
  });
});
