import fc from 'fast-check';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TshHome, homeAt, openHome, userFileName, userOfFileName } from './home.ts';
import {
  type Profile,
  currentProxyHost,
  loadProfile,
  loadProfiles,
  parsePlain,
  parseProfile,
  profileText,
  saveProfile,
  updateProfile,
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
  it('writes it in a folder of its owner alone, and makes it current', async () => {
    await saveProfile(home, profile);
    expect(statSync(home.directory).mode & 0o777).toBe(0o700);
    expect(readFileSync(home.currentProfile, 'utf8')).toBe('localhost\n');
    expect(await loadProfile(home, 'localhost')).toEqual(profile);
  });
  it('remembers a way that is not the SSH port, and writes it for nobody else', async () => {
    await saveProfile(home, { ...profile, way: 'web-tls' });
    expect(readFileSync(home.profile('localhost'), 'utf8')).toMatch(/^ssh_way: web-tls$/m);
    expect(await loadProfile(home, 'localhost')).toEqual({ ...profile, way: 'web-tls' });
    await saveProfile(home, { ...profile, way: 'port' });
    expect(readFileSync(home.profile('localhost'), 'utf8')).not.toContain('ssh_way');
  });
  it('does not become the current one when it is updated', async () => {
    await saveProfile(home, { ...profile, proxyHost: 'a' });
    await saveProfile(home, { ...profile, proxyHost: 'b' });
    await updateProfile(home, { ...profile, proxyHost: 'a', way: 'web' });
    expect(currentProxyHost(home)).toBe('b');
    expect((await loadProfile(home, 'a'))?.way).toBe('web');
  });
  it('refuses a folder that others can read', async () => {
    await saveProfile(home, profile);
    chmodSync(home.directory, 0o750);
    await expect(saveProfile(home, profile)).rejects.toThrow(`chmod 0700 ${home.directory}`);
  });
  it('lists the current one first', async () => {
    await saveProfile(home, { ...profile, proxyHost: 'b' });
    await saveProfile(home, { ...profile, proxyHost: 'c' });
    await saveProfile(home, { ...profile, proxyHost: 'a' });
    await saveProfile(home, { ...profile, proxyHost: 'b' });
    expect((await loadProfiles(home)).map((p) => p.proxyHost)).toEqual(['b', 'a', 'c']);
  });
  it('has none before the first login, and makes no folder to find out', async () => {
    expect([currentProxyHost(home), await loadProfiles(home)]).toEqual([undefined, []]);
    expect(existsSync(home.directory)).toBe(false);
  });
});

describe('reading a profile', () => {
  it('takes one that 4.4 wrote', async () => {
    const text =
      'web_proxy_addr: localhost:3080\nssh_proxy_addr: :3023\nkube_proxy_addr: ""\nuser: joe\nauth_type: local\ncluster: example\nforward_ports: []\n';
    expect(await parseProfile(text, 'localhost', 'p')).toEqual(profile);
  });
  it('reads back what it writes', async () => {
    const odd = { ...profile, user: 'joe: "x"', web: { host: '::1', port: 1 } };
    expect(await parseProfile(await profileText(odd), 'localhost', 'p')).toEqual(odd);
  });
  it.each(['', '[]', 'a: [', 'user: joe', 'web_proxy_addr: 5'])(
    'refuses %j, naming the file',
    async (text) => {
      await expect(parseProfile(text, 'localhost', '/x/localhost.yaml')).rejects.toThrow(
        'the profile /x/localhost.yaml cannot be used',
      );
    },
  );
});

describe('reading a profile without the YAML library', () => {
  const key = fc.constantFrom('user', 'cluster', 'web_proxy_addr');
  const value = fc.oneof(
    fc.constantFrom(
      'localhost:3080',
      '127.0.0.1:3080',
      'true',
      'no',
      '1',
      '1e3',
      '0x1f',
      'a:',
      '~',
      '""',
      '2001-01-01',
      '1:2',
      'Null',
    ),
    fc.stringMatching(/^[a-z0-9.:_-]{0,12}$/),
  );
  it('answers what the library would, or nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value)), (lines) => {
        const text = lines.map(([k, v]) => `${k}: ${v}\n`).join('');
        const plain = parsePlain(text);
        if (plain !== undefined && lines.length > 0) expect(plain).toEqual(parse(text));
      }),
    );
  });
  it('is enough for what tsh writes', async () => {
    expect(parsePlain(await profileText(profile))).toBeDefined();
  });
});

describe('naming files', () => {
  it('lets no name out of the folder', () => {
    expect(() => home.keyFiles('../x', 'joe')).toThrow('is not a host name');
    for (const user of ['', 'a\nb', '\ud800', 'x'.repeat(129), '/'.repeat(128)])
      expect(() => userFileName(user)).toThrow('cannot be used as a user name');
    expect(userFileName('joe@example.com')).toBe('joe@example.com');
  });
  it('gives each user files of its own, and knows whose they are', () => {
    const made = new Map<string, string>();
    for (const user of [
      '..',
      'a/b',
      'certs.pem',
      'joe',
      'joe.pub',
      'joe-x509.pem',
      'joe-cert',
      "o'neil@a.pub",
      'a,2Fb',
      '%h',
    ])
      for (const path of Object.values({ ...home.keyFiles('proxy', user), directory: '', authorities: '' })) {
        if (path === '') continue;
        expect(dirname(path)).toBe(home.keyFiles('proxy', user).directory);
        expect(path).not.toBe(home.keyFiles('proxy', user).authorities);
        expect(made.get(path) ?? user).toBe(user);
        made.set(path, user);
      }
  });
  it('writes no character that a shell, a pattern or an ssh_config reads', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 12, unit: 'binary' }), (user) => {
        fc.pre(!/[\u0000-\u001f\u007f]/.test(user));
        const name = userFileName(user);
        expect(name).toMatch(/^[A-Za-z0-9_@:+,-][A-Za-z0-9_@:.+,-]*$/);
        expect(userOfFileName(name)).toBe(user);
      }),
    );
  });
  it('takes TSH_HOME, never HOME', () => {
    expect(openHome({ TSH_HOME: '/a/b', HOME: '/c' }).directory).toBe('/a/b');
    expect(openHome({ HOME: '/c' }).directory).not.toMatch(/^\/c/);
  });
});
