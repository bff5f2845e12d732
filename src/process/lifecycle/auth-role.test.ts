import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkAuthRole, ownAuthAddress } from './auth-role.ts';
import { type Flags, readConfiguration } from '../configuration/configuration.ts';

const pin = `sha256:${'a'.repeat(64)}`;
/** The roles that start, how the auth role came to be what it is, and the reason. */
function decided(yaml: string, flags: Flags = {}) {
  const { roles, authRole } = readConfiguration(
    { configString: Buffer.from(yaml).toString('base64'), nodename: 'here', ...flags },
    {},
  );
  return {
    roles: [...roles].join(),
    status: authRole.status,
    why: 'why' in authRole ? authRole.why : '',
  };
}
const all = 'auth,proxy,node';
const join2 = { authServers: ['a.example.com'], token: 't', caPins: [pin] };
const guide = `teleport:
  auth_token: xxxx
  ca_pin: "${pin}"
  auth_servers: ["10.1.1.1:3025"]
`;

describe('whoever names an auth server', () => {
  it.each<[string, string, Flags, string, string]>([
    ['nothing', '', {}, all, 'on'],
    ['--auth-server', '', join2, 'proxy,node', 'joins'],
    ['--auth-server alone', '', { authServers: ['a'] }, 'proxy,node', 'joins'],
    ['--auth-server of this machine', '', { authServers: ['127.0.0.1:3025'] }, 'proxy,node', 'joins'],
    ['--auth-server, --roles with auth', '', { ...join2, roles: 'auth,node' }, 'node', 'joins'],
    ['--auth-server, --roles without auth', '', { ...join2, roles: 'node' }, 'node', 'off'],
    [
      'own --auth-server, --roles with auth',
      '',
      { authServers: ['127.0.0.1'], roles: 'auth,node' },
      'auth,node',
      'on',
    ],
    ['--auth-server, auth_service enabled', 'auth_service: {enabled: yes}', join2, 'proxy,node', 'joins'],
    ['the file of the production guide', guide, {}, 'proxy,node', 'joins'],
    ['that file, --roles', guide, { roles: 'auth,node' }, 'auth,node', 'on'],
    ['that file, auth_service enabled', `${guide}auth_service: {enabled: yes}`, {}, all, 'on'],
    ['that file, auth_service off', `${guide}auth_service: {enabled: no}`, {}, 'proxy,node', 'off'],
    ['auth_servers alone', 'teleport: {auth_servers: [10.1.1.1]}', {}, all, 'on in doubt'],
    [
      'auth_servers, one of several',
      'teleport: {auth_servers: [10.1.1.1]}\nauth_service: {cluster_name: x}',
      {},
      all,
      'on',
    ],
    ['auth_servers and storage', 'teleport: {auth_servers: [10.1.1.1], storage: {path: /x}}', {}, all, 'on'],
    ['auth_servers of this machine', 'teleport: {auth_servers: ["127.0.0.1:3025"]}', {}, all, 'on'],
    ['auth_servers as configure writes it', 'teleport: {auth_servers: ["0.0.0.0:3025"]}', {}, all, 'on'],
    ['auth_servers by this name', 'teleport: {auth_servers: [here]}', {}, all, 'on'],
    ['auth_servers at another port', 'teleport: {auth_servers: ["127.0.0.1:9"]}', {}, all, 'on in doubt'],
    [
      'token, auth_servers of this machine',
      'teleport: {auth_token: x, auth_servers: [127.0.0.1]}',
      {},
      all,
      'on',
    ],
    ['a pin and no server', '', { caPins: [pin] }, all, 'on in doubt'],
    ['a token and no server', 'teleport: {auth_token: xxx}', {}, all, 'on in doubt'],
    ['a token, and auth said', 'teleport: {auth_token: xxx}\nauth_service: {enabled: yes}', {}, all, 'on'],
  ])('with %s', (_, yaml, flags, roles, status) => {
    expect(decided(yaml, flags)).toMatchObject({ roles, status });
  });

  it('has something left to start', () => {
    expect(() => decided('', { ...join2, roles: 'auth' })).toThrow(
      /supply at least one of Auth, SSH or Proxy roles; --auth-server names an auth server to join \(a\.example\.com:3025\)/,
    );
  });
  it('is told by name what to add', () => {
    expect(decided('teleport: {auth_servers: [10.1.1.1]}').why).toContain(
      'add "auth_service: {enabled: no}" to the file to join it, or "auth_service: {enabled: yes}"',
    );
  });
});

describe('the address of this machine’s own auth server', () => {
  const everywhere = ownAuthAddress({ host: '0.0.0.0', port: 3025 }, ['here', '192.0.2.7']);
  const inside = ownAuthAddress({ host: '192.0.2.9', port: 3025 }, []);
  it.each(['127.0.0.1', '::1', 'localhost', '0.0.0.0', 'here', '192.0.2.7', hostname()])(
    'may be %s',
    (host) => {
      expect(everywhere({ host, port: 3025 })).toBe(true);
    },
  );
  it('has its port', () => {
    expect(everywhere({ host: '127.0.0.1', port: 3026 })).toBe(false);
  });
  it('is the one that it listens on, where that is one', () => {
    expect(inside({ host: '192.0.2.9', port: 3025 })).toBe(true);
    expect(inside({ host: '127.0.0.1', port: 3025 })).toBe(false);
  });
  it('is no other', () => {
    expect(everywhere({ host: '198.51.100.1', port: 3025 })).toBe(false);
  });
});

describe('what is only inferred', () => {
  const dir = mkdtempSync(join(tmpdir(), 'auth-role-'));
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  const served = (): string => {
    mkdirSync(join(dir, 'proc'), { recursive: true });
    writeFileSync(join(dir, 'proc/admin.identity.json'), '{}');
    return dir;
  };
  it('takes the auth role from no machine that has had it', () => {
    expect(checkAuthRole({ status: 'joins', why: 'w' }, dir)).toMatch(
      /^not starting the local auth service: w/,
    );
    expect(() => checkAuthRole({ status: 'joins', why: 'w' }, served())).toThrow(
      /^w, but this machine is an auth server of its cluster/,
    );
  });
  it('keeps no machine from starting that has had it', () => {
    expect(() => checkAuthRole({ status: 'on in doubt', why: 'w' }, dir)).toThrow(/^w$/);
    expect(checkAuthRole({ status: 'on in doubt', why: 'w' }, served())).toBe('w');
  });
  it('says nothing where all was said', () => {
    expect(checkAuthRole({ status: 'on' }, dir)).toBeUndefined();
    expect(checkAuthRole({ status: 'off' }, served())).toBeUndefined();
  });
});
