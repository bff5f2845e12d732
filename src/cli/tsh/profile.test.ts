import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TshHome, checkedUser, homeAt, openHome } from './home.ts';
import {
  type Profile,
  currentProxyHost,
  loadProfile,
  loadProfiles,
  parseProfile,
  profileText,
  saveProfile,
} from './profile.ts';

const profile: Profile = {
  proxyHost: 'localhost',
  web: { host: 'localhost', port: 3080 },
  ssh: { host: 'localhost', port: 3023 },
  user: 'joe',
  cluster: 'example',
};

let home: TshHome;
beforeEach(() => {
  home = homeAt(join(mkdtempSync(join(tmpdir(), 'tsh-')), 'home'));
});
afterEach(() => {
  rmSync(join(home.directory, '..'), { recursive: true });
});

describe('keeping a profile', () => {
  it('writes it in a folder of its owner alone, and makes it current', () => {
    saveProfile(home, profile);
    expect(statSync(home.directory).mode & 0o777).toBe(0o700);
    expect(readFileSync(home.currentProfile, 'utf8')).toBe('localhost\n');
    expect(loadProfile(home, 'localhost')).toEqual(profile);
  });
  it('refuses a folder that others can read', () => {
    saveProfile(home, profile);
    chmodSync(home.directory, 0o750);
    expect(() => {
      saveProfile(home, profile);
    }).toThrow(`chmod 0700 ${home.directory}`);
  });
  it('lists the current one first', () => {
    saveProfile(home, { ...profile, proxyHost: 'b' });
    saveProfile(home, { ...profile, proxyHost: 'c' });
    saveProfile(home, { ...profile, proxyHost: 'a' });
    saveProfile(home, { ...profile, proxyHost: 'b' });
    expect(loadProfiles(home).map((p) => p.proxyHost)).toEqual(['b', 'a', 'c']);
  });
  it('has none before the first login, and makes no folder to find out', () => {
    expect([currentProxyHost(home), loadProfiles(home)]).toEqual([undefined, []]);
    expect(existsSync(home.directory)).toBe(false);
  });
});

describe('reading a profile', () => {
  it('takes one that 4.4 wrote', () => {
    const text =
      'web_proxy_addr: localhost:3080\nssh_proxy_addr: :3023\nkube_proxy_addr: ""\nuser: joe\nauth_type: local\ncluster: example\nforward_ports: []\n';
    expect(parseProfile(text, 'localhost', 'p')).toEqual(profile);
  });
  it('reads back what it writes', () => {
    const odd = { ...profile, user: 'joe: "x"', web: { host: '::1', port: 1 } };
    expect(parseProfile(profileText(odd), 'localhost', 'p')).toEqual(odd);
  });
  it.each(['', '[]', 'a: [', 'user: joe', 'web_proxy_addr: 5'])('refuses %j, naming the file', (text) => {
    expect(() => parseProfile(text, 'localhost', '/x/localhost.yaml')).toThrow(
      'the profile /x/localhost.yaml cannot be used',
    );
  });
});

describe('naming files', () => {
  it('lets no name out of the folder', () => {
    expect(() => home.keyFiles('../x', 'joe')).toThrow('is not a host name');
    for (const user of ['', '..', 'a/b', 'certs.pem', 'joe.pub', 'joe-x509.pem', 'a\nb'])
      expect(() => checkedUser(user)).toThrow('cannot be used as a user name');
    expect(checkedUser('joe@example.com')).toBe('joe@example.com');
  });
  it('takes TSH_HOME, never HOME', () => {
    expect(openHome({ TSH_HOME: '/a/b', HOME: '/c' }).directory).toBe('/a/b');
    expect(openHome({ HOME: '/c' }).directory).not.toMatch(/^\/c/);
  });
});
