import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ClusterKeys } from './cluster-keys.ts';
import { foreignUsername, splitForeignUsername } from './foreign-username.ts';
import { lockTargetOf } from './lock.ts';
import { joinToken } from './join-token.ts';
import { isClusterName, isUserName } from './names.ts';
import { remoteCluster, type RemoteClusterCommand, type RemoteClusterFact } from './remote-cluster.ts';
import { expectReplays, fold, scenario } from './testing.ts';
import {
  trustedCluster,
  type TrustedClusterCommand,
  type TrustedClusterFact,
  type TrustedClusterSettings,
} from './trusted-cluster.ts';

const stated = (number: number, ...ids: string[]): ClusterKeys => ({
  number,
  keys: ids.map((keyId) => ({ keyId, sshPublicKey: `ssh ${keyId}`, tlsCertificatePem: `pem ${keyId}` })),
});
const settings: TrustedClusterSettings = {
  enabled: true,
  roleMap: [{ remote: 'dev', local: ['dev'] }],
  webProxyAddress: 'root:3080',
  tunnelAddress: 'root:3024',
  caPins: [],
};
const establish = {
  type: 'establish',
  replace: false,
  settings,
  host: stated(1, 'h'),
  user: stated(1, 'u'),
} as const satisfies TrustedClusterCommand;
const created: TrustedClusterFact = {
  type: 'trusted_cluster.created',
  data: { ...settings, host: stated(1, 'h'), user: stated(1, 'u') },
};
const userKeys = (how: string, keys: ClusterKeys): TrustedClusterFact => ({
  type: 'trusted_cluster.keys_changed',
  data: { authority: 'user', ...keys, how },
});
const keysNow = (...facts: TrustedClusterFact[]): readonly string[][] => {
  const state = fold(trustedCluster, facts);
  if (state.status === 'absent') return [];
  const { keys, letStay } = state.user;
  return [keys.map(({ keyId }) => keyId), letStay.map(({ keyId }) => keyId)];
};

describe('a trusted cluster', () => {
  const given = scenario(trustedCluster);

  it('is made once', () => {
    given().when(establish).then(created);
    given(created).when(establish).refused('already_exists');
    given(created, { type: 'trusted_cluster.deleted', data: {} }).when(establish).then(created);
  });
  it('is made again by an exchange where that is wished, and keeps no key that was not exchanged', () => {
    given(created)
      .when({ ...establish, replace: true })
      .then();
    given(created)
      .when({ ...establish, replace: true, user: stated(1, 'v') })
      .then(userKeys('exchanged', stated(1, 'v')));
    expect(
      keysNow(created, userKeys('announced', stated(2, 'w', 'u')), userKeys('exchanged', stated(1, 'v'))),
    ).toEqual([['v'], []]);
  });
  it('is enabled, disabled and mapped again without its keys being touched', () => {
    const disabled = { ...settings, enabled: false };
    given(created)
      .when({ type: 'update', settings: disabled })
      .then({ type: 'trusted_cluster.updated', data: disabled });
    given(created).when({ type: 'update', settings }).then();
    given().when({ type: 'update', settings }).refused('not_found');
    expect(keysNow(created, { type: 'trusted_cluster.updated', data: disabled })).toEqual([['u'], []]);
  });
  it('takes no role map that cannot be matched', () => {
    const bad = { ...settings, roleMap: [{ remote: '^a', local: ['b'] }] };
    given()
      .when({ ...establish, settings: bad })
      .refused('bad_request', 'spec.role_map[0]');
    given(created).when({ type: 'update', settings: bad }).refused('bad_request', 'spec.role_map[0]');
  });
  it('follows keys that a known one vouches for, and lets sessions stay under those that left', () => {
    const both = stated(2, 'v', 'u');
    given(created)
      .when({ type: 'follow-keys', authority: 'user', stated: both })
      .then(userKeys('announced', both));
    expect(keysNow(created, userKeys('announced', both), userKeys('announced', stated(3, 'v')))).toEqual([
      ['v'],
      ['u'],
    ]);
    // A way that a newer release has is not taken for a rotation.
    expect(keysNow(created, userKeys('as-never-before', stated(3, 'v')))).toEqual([['v'], []]);
  });
  it('follows nothing that is older, or that no known key has signed', () => {
    given(created)
      .when({ type: 'follow-keys', authority: 'user', stated: stated(2, 'x') })
      .refused('access_denied', 'no key');
    given(created)
      .when({ type: 'follow-keys', authority: 'user', stated: stated(2, 'h') })
      .refused('access_denied', 'no key');
    given(created, userKeys('announced', stated(3, 'v', 'u')))
      .when({ type: 'follow-keys', authority: 'user', stated: stated(2, 'u') })
      .refused('access_denied', 'older');
    given(created, userKeys('announced', stated(3, 'v')))
      .when({ type: 'follow-keys', authority: 'user', stated: stated(4, 'u') })
      .refused('access_denied', 'no key');
    given()
      .when({ type: 'follow-keys', authority: 'user', stated: stated(2, 'u') })
      .refused('not_found');
  });
  it('is deleted once', () => {
    given(created).when({ type: 'delete' }).then({ type: 'trusted_cluster.deleted', data: {} });
    given().when({ type: 'delete' }).refused('not_found');
  });
  it('replays', () => {
    const keys = fc.record({ number: fc.nat(4), ids: fc.subarray(['a', 'b', 'c'], { minLength: 1 }) });
    const some = keys.map(({ number, ids }) => stated(number, ...ids));
    expectReplays(
      trustedCluster,
      fc.oneof(
        fc.record({
          ...{ type: fc.constant('establish' as const), replace: fc.boolean(), host: some, user: some },
          settings: fc.record({ enabled: fc.boolean() }).map((one) => ({ ...settings, ...one })),
        }),
        fc.record({
          ...{
            type: fc.constant('follow-keys' as const),
            authority: fc.constantFrom('user' as const, 'host' as const),
          },
          stated: some,
        }),
        fc.constant({ type: 'delete' as const }),
        fc.constant({ type: 'update' as const, settings }),
      ),
    );
  });
});

describe('a remote cluster', () => {
  const given = scenario(remoteCluster);
  const admit = (tokenId: string, host = stated(1, 'h')): RemoteClusterCommand => ({
    ...{ type: 'admit', host, tokenId, address: '10.0.0.1:1' },
  });
  const admitted = (tokenId: string, host = stated(1, 'h')): RemoteClusterFact => ({
    type: 'remote_cluster.admitted',
    data: { host, tokenId, address: '10.0.0.1:1' },
  });
  const deleted: RemoteClusterFact = { type: 'remote_cluster.deleted', data: {} };

  it('is admitted by a token, and gets the same answer again by the same token', () => {
    given().when(admit('t1')).then(admitted('t1'));
    given(admitted('t1')).when(admit('t1')).then();
    given(admitted('t1')).when(admit('t2')).then(admitted('t2'));
  });
  it('with other keys is another cluster', () => {
    given(admitted('t1'))
      .when(admit('t2', stated(1, 'x')))
      .refused('already_exists');
    given(admitted('t1'), deleted)
      .when(admit('t2', stated(1, 'x')))
      .then(admitted('t2', stated(1, 'x')));
  });
  it('that was deleted does not come back by the token that it had', () => {
    given(admitted('t1'), deleted).when(admit('t1')).refused('access_denied', 'used up');
    given(admitted('t1'), deleted, admitted('t2'), deleted).when(admit('t1')).refused('access_denied');
  });
  it('announces its keys, by those that are known', () => {
    given(admitted('t1'))
      .when({ type: 'follow-keys', stated: stated(2, 'i', 'h') })
      .then({ type: 'remote_cluster.keys_changed', data: stated(2, 'i', 'h') });
    given(admitted('t1'))
      .when({ type: 'follow-keys', stated: stated(2, 'i') })
      .refused('access_denied');
    given(admitted('t1'))
      .when({ type: 'follow-keys', stated: stated(0, 'h') })
      .refused('access_denied');
    given()
      .when({ type: 'follow-keys', stated: stated(2, 'h') })
      .refused('not_found');
  });
  it('replays', () => {
    expectReplays(
      remoteCluster,
      fc.oneof(
        fc
          .tuple(fc.constantFrom('t1', 't2', 't3'), fc.constantFrom('h', 'x'))
          .map(([t, k]) => admit(t, stated(1, k))),
        fc
          .tuple(fc.nat(3), fc.subarray(['h', 'x'], { minLength: 1 }))
          .map(([n, ids]): RemoteClusterCommand => ({ type: 'follow-keys', stated: stated(n, ...ids) })),
        fc.constant<RemoteClusterCommand>({ type: 'delete' }),
      ),
    );
  });
});

describe('a token for a cluster', () => {
  const create = {
    type: 'create-token',
    now: '2026-01-01T00:00:00.000Z',
    ttlMs: 600_000,
    uses: null,
  } as const;
  const make = (more: object): unknown =>
    joinToken.decide(joinToken.initial, { ...create, roles: ['Trusted_cluster'], ...more });
  it('is used once', () => {
    expect(make({})).toMatchObject([{ data: { roles: ['Trusted_cluster'], uses: 1 } }]);
    expect(make({ uses: 1 })).toMatchObject([{ data: { uses: 1 } }]);
    expect(() => make({ uses: 2 })).toThrow('is used once');
  });
  it('admits no machine', () => {
    expect(() => make({ roles: ['Trusted_cluster', 'Node'] })).toThrow('admits no machines');
    expect(() => make({ names: ['web-*'] })).toThrow('admits no machines');
    const state = fold(
      joinToken,
      joinToken.decide(joinToken.initial, { ...create, roles: ['Trusted_cluster'] }),
    );
    const use = { hostId: 'h', nodename: 'n', role: 'Node', address: '', key: 'k' } as const;
    expect(() =>
      joinToken.decide(state, { type: 'use-token', now: create.now, use, staticRoles: undefined }),
    ).toThrow('does not allow "Node" role');
  });
});

describe('the name of a person of another cluster', () => {
  it('is no name that a user here can have, and is read back as what it was made of', () => {
    const names = fc.tuple(
      fc.stringMatching(/^[a-z0-9_.-]{1,12}$/),
      fc.stringMatching(/^[A-Za-z0-9_@:.+!-]{1,12}$/),
    );
    fc.assert(
      fc.property(names, ([clusterName, username]) => {
        fc.pre(isClusterName(clusterName) && isUserName(username));
        const name = foreignUsername(clusterName, username);
        expect(isUserName(name)).toBe(false);
        expect(splitForeignUsername(name)).toEqual({ clusterName, username });
        expect(lockTargetOf('user', name)).toEqual({ kind: 'user', name });
      }),
    );
  });
  it.each(['alice', '/alice', 'root/', 'root/a/b', '-/alice', 'ro ot/alice', 'root/-a', 'alice@root'])(
    '%j is none',
    (name) => {
      expect(splitForeignUsername(name)).toBeUndefined();
    },
  );
  it('names no role in a lock', () => {
    expect(() => lockTargetOf('role', 'root/alice')).toThrow('not a role name');
  });
});
