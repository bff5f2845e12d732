import { describe, expect, it } from 'vitest';
import { checkCertificate } from './check-ssh-certificate.ts';
import { parseCertificate, type Certificate } from './ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from './ssh-key.ts';
import { blobOf, keyOf, rawCertificate, testNow, testNowSeconds, type RawCertificate } from './testing.ts';
import { issueUserSshCertificate, userIdentityOf, type UserCertificateRequest } from './user-certificate.ts';
import { str, WireError } from './wire.ts';

const traits = { logins: ['root', 'bob'], kubernetes_users: ['älice'], kubernetes_groups: [] };
const request: UserCertificateRequest = {
  publicKey: publicKeyOf(keyOf('ed25519')),
  ca: keyOf('ed25519', 'ca'),
  username: 'alice@example.com',
  principals: ['root', 'bob'],
  roles: ['admin', 'dev'],
  traits,
  now: testNow,
  ttlSeconds: 3600,
  format: 'standard',
  permit: { pty: true, portForwarding: true, agentForwarding: true },
  routeToCluster: 'example',
};
const issue = (wish: Partial<UserCertificateRequest> = {}): Certificate =>
  parseCertificate(fromAuthorizedKeyLine(issueUserSshCertificate({ ...request, ...wish })));
/** What the data of an extension holds, as text with its length before it. */
const wrapped = (text: string): Buffer => str(text);

describe('issuing the SSH certificate of a person', () => {
  it('writes the fields that 4.4 writes, and a serial number', () => {
    const c = issue({ serial: 7n });
    expect(c).toMatchObject({
      certType: 'ssh-ed25519-cert-v01@openssh.com',
      kind: 'user',
      serial: 7n,
      keyId: 'alice@example.com',
      principals: ['root', 'bob'],
      validAfter: testNowSeconds - 60n,
      validBefore: testNowSeconds + 3600n,
    });
    expect(c.criticalOptions.size).toBe(0);
    expect([...c.extensions]).toEqual([
      ['permit-agent-forwarding', Buffer.alloc(0)],
      ['permit-port-forwarding', Buffer.alloc(0)],
      ['permit-pty', Buffer.alloc(0)],
      ['teleport-roles', wrapped('{"version":"v1","roles":["admin","dev"]}')],
      ['teleport-route-to-cluster', wrapped('example')],
      ['teleport-traits', wrapped(JSON.stringify(traits))],
    ]);
  });

  it('is one line without an end', () => {
    expect(issueUserSshCertificate(request)).toMatch(/^ssh-ed25519-cert-v01@openssh\.com [A-Za-z0-9+/=]+$/);
  });

  it('passes the check for each of its logins', () => {
    for (const login of request.principals)
      checkCertificate(issue(), {
        kind: 'user',
        cas: [blobOf('ed25519', 'ca')],
        principals: [login],
        now: testNowSeconds,
      });
  });

  it('permits only what is asked for', () => {
    const none = { pty: false, portForwarding: false, agentForwarding: false };
    expect([...issue({ permit: none, routeToCluster: '' }).extensions.keys()]).toEqual([
      'teleport-roles',
      'teleport-traits',
    ]);
    expect([...issue({ permit: { ...none, pty: true }, format: 'oldssh' }).extensions.keys()]).toEqual([
      'permit-pty',
    ]);
  });

  it.each<[string, Partial<UserCertificateRequest>]>([
    ['without a username', { username: '' }],
    ['without logins', { principals: [] }],
    ['with a login that has a comma', { principals: ['root,bob'] }],
    ['for no time', { ttlSeconds: 0 }],
    ['for less than no time', { ttlSeconds: -1 }],
    ['for part of a second', { ttlSeconds: 1.5 }],
    ['for a time that is no number', { ttlSeconds: NaN }],
  ])('refuses one %s', (_name, wish) => {
    expect(() => issue(wish)).toThrow(expect.objectContaining({ code: 'bad_request' }) as Error);
  });
});

describe('reading the SSH certificate of a person', () => {
  const read = (wish: Partial<RawCertificate>): unknown =>
    userIdentityOf(parseCertificate(rawCertificate(wish)));

  it('gives back who it was issued for', () => {
    expect(userIdentityOf(issue())).toEqual({
      username: 'alice@example.com',
      principals: ['root', 'bob'],
      roles: ['admin', 'dev'],
      traits,
      routeToCluster: 'example',
      lifeId: '',
      accessRequests: [],
    });
    const held = { ids: ['r-1', 'r-2'], roles: ['dba'] };
    expect(userIdentityOf(issue({ accessRequests: held })).accessRequests).toEqual(held.ids);
    expect(userIdentityOf(issue({ lifeId: 'e1' })).lifeId).toBe('e1');
  });

  it('finds no roles, traits, route and life in one for old OpenSSH', () => {
    expect(userIdentityOf(issue({ format: 'oldssh', lifeId: 'e1' }))).toMatchObject({
      roles: [],
      traits: {},
      routeToCluster: '',
      lifeId: '',
    });
  });

  it('takes the lists that 4.4 writes as null', () => {
    const text = '{"kubernetes_groups":null,"logins":["root"]}';
    expect(read({ extensions: [['teleport-traits', wrapped(text)]] })).toMatchObject({
      traits: { kubernetes_groups: [], logins: ['root'] },
    });
  });

  it.each<[string, Partial<RawCertificate>]>([
    ['of a host', { kind: 2 }],
    ['without a key id', { keyId: '' }],
    ['whose roles are not JSON', { extensions: [['teleport-roles', wrapped('admin')]] }],
    [
      'whose roles are no list',
      { extensions: [['teleport-roles', wrapped('{"version":"v1","roles":"admin"}')]] },
    ],
    [
      'whose roles are of another version',
      { extensions: [['teleport-roles', wrapped('{"version":"v2","roles":[]}')]] },
    ],
    ['whose roles have no length before them', { extensions: [['teleport-roles', Buffer.from('{}')]] }],
    ['whose traits are numbers', { extensions: [['teleport-traits', wrapped('{"logins":[1]}')]] }],
  ])('refuses one %s', (_name, wish) => {
    expect(() => read(wish)).toThrow(WireError);
  });
});
