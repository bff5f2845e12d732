import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostRecord } from '../domain/host-info.ts';
import { roleSpec, traits } from '../domain/role-spec.ts';
import { heartbeat, listHosts } from './operations/host.ts';
import { createUser, logIn } from './operations/user.ts';

const host: HostRecord = {
  hostId: '00000000-0000-4000-8000-000000000001',
  role: 'Proxy',
  nodename: 'p1',
  address: '10.0.0.1:3080',
  publicAddress: 'web.example.com:443',
  sshPublicAddress: '[fd00::1]:3023',
  labels: { env: 'prod' },
  version: '4.5.0-dev+1',
};
const takes = (said: object): boolean =>
  heartbeat.input.safeParse({ host: { ...host, ...said }, ttlSeconds: 60 }).success;
/** What came in over the wire. */
const json = (text: string): unknown => JSON.parse(text);

const evil = fc.oneof(
  fc.constantFrom(
    '\n',
    '\r',
    '\0',
    '\x1b[2J',
    '\x9b',
    '\u202e',
    '\u200b',
    '\u2028',
    '\ud800',
    '\n*',
    '\nBASH_ENV=$(id)',
  ),
  fc.constant('x'.repeat(65_536)),
);

describe('what a host may say over the wire', () => {
  it('is of ways to reach it that it hangs on proxies, without naming them, or nothing', () => {
    const tunnel = { status: 'tunnel', proxies: [] };
    expect(takes({ address: '', reachability: tunnel })).toBe(true);
    const others = [
      { ...tunnel, proxies: ['00000000-0000-4000-8000-000000000002'] },
      { ...tunnel, by: 'x' },
      { status: 'direct', address: '10.0.0.1:3022' },
      { status: 'relay' },
      {},
      null,
      'tunnel',
    ];
    for (const reachability of others)
      expect(
        heartbeat.input.safeParse({ host: { ...host, address: '', reachability }, ttlSeconds: 60 }).error
          ?.issues,
      ).toContainEqual(
        expect.objectContaining({
          path: ['host', 'reachability'],
          message:
            'auth servers of this release take only hosts that are reached at an address, or through tunnels',
        }),
      );
  });
  it('is never an empty address alone', () => {
    expect(
      heartbeat.input.safeParse({ host: { ...host, address: '' }, ttlSeconds: 60 }).error?.issues,
    ).toEqual([
      expect.objectContaining({
        path: ['host', 'address'],
        message: expect.stringContaining('host:port') as string,
      }),
    ]);
  });

  it('is what hosts say', () => {
    expect(takes({})).toBe(true);
    expect(takes({ publicAddress: '', sshPublicAddress: '' })).toBe(true);
    expect(takes({ address: '0.0.0.0:3022' }) && takes({ address: '[::]:3022' })).toBe(true);
  });
  it('has no field that takes a line break, a control or an invisible character, or text without end', () => {
    const field = fc.constantFrom(
      'hostId',
      'nodename',
      'address',
      'publicAddress',
      'sshPublicAddress',
      'version',
    );
    fc.assert(
      fc.property(field, evil, fc.nat(10), (name, bad, at) => {
        const good = host[name as 'nodename'];
        expect(takes({ [name]: good.slice(0, at) + bad + good.slice(at) })).toBe(false);
        expect(takes({ labels: { env: `a${bad}b` } })).toBe(false);
        expect(takes({ labels: { [`a${bad}b`]: 'x' } })).toBe(false);
      }),
    );
  });
  it('is what a program printed with tabs, as a node of the release before tells it', () => {
    const labels = { os: 'Description:\tUbuntu 20.04.1 LTS' };
    const parsed = heartbeat.input.parse({ host: { ...host, labels }, ttlSeconds: 60 });
    expect(parsed.host.labels).toEqual({ os: 'Description: Ubuntu 20.04.1 LTS' });
  });
  it.each(['*:3023', 'x:1 y:2', '*', '0:0', 'a@b:1', '$(id):1', '-oProxyCommand=x:22'])(
    'is no address like %j',
    (address) => {
      for (const name of ['address', 'publicAddress', 'sshPublicAddress'])
        expect(takes({ [name]: address })).toBe(false);
    },
  );
  it('never names what only the auth server may say of it', () => {
    const parsed = heartbeat.input.parse({ host: { ...host, otherNames: ['db1'] }, ttlSeconds: 60 });
    expect(parsed.host).not.toHaveProperty('otherNames');
  });
});

describe('a key that objects take for their prototype', () => {
  it('is refused wherever somebody else chooses keys, and never lost', () => {
    const wish = '{"__proto__": "x", "env": "prod"}';
    expect(listHosts.input.safeParse({ role: 'Node', labels: json(wish) }).error?.message).toContain(
      '__proto__',
    );
    expect(takes({ labels: json(wish) })).toBe(false);
    const many = json('{"__proto__": ["x"]}');
    expect(traits.safeParse(many).success).toBe(false);
    const user = { username: 'joe', roles: ['admin'], inviteTtlSeconds: 60 };
    expect(createUser.input.safeParse({ ...user, traits: many }).success).toBe(false);
    const options = { maxSessionTtlSeconds: 60 };
    const role = { name: 'r', options, allow: { logins: ['root'], nodeLabels: { '*': ['*'] } } };
    expect(roleSpec.safeParse({ ...role, deny: {} }).success).toBe(true);
    // A condition that is lost would deny nothing.
    expect(roleSpec.safeParse({ ...role, deny: { nodeLabels: many } }).success).toBe(false);
  });
});

describe('what a proxy says of a person', () => {
  it('is one clean line each', () => {
    const asked = {
      ...{ username: 'joe', password: 'x', otp: '', publicKey: 'ssh-ed25519 AAAA', ttlSeconds: 60 },
      clientAddress: '[fe80::1%eth0]:4000',
    };
    expect(logIn.input.safeParse(asked).success).toBe(true);
    for (const field of ['clientAddress', 'routeToCluster'])
      expect(logIn.input.safeParse({ ...asked, [field]: 'x\ny' }).success).toBe(false);
  });
});
