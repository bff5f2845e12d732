import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import { authorityType, type AuthorityType } from './authority-facts.ts';
import {
  areSameKeys,
  type ClusterKey,
  clusterKeys,
  type ClusterKeys,
  keysAfter,
  type KnownKeys,
  knownKeys,
} from './cluster-keys.ts';
import { checkRoleMap, roleMap } from './role-map.ts';
import { writerReads } from './writer-reads.ts';

/** What an operator sets of a cluster whose people are let in here. */
export const trustedClusterSettings = z.object({
  /** Otherwise its keys are kept, and nobody is let in. */
  enabled: z.boolean(),
  roleMap,
  /** `host:port` where its auth servers are asked. */
  webProxyAddress: z.string().min(1).max(300),
  /** `host:port` where its proxies take tunnels. */
  tunnelAddress: z.string().min(1).max(300),
  /** Pins of its host authority; empty: whoever answered at that address was believed. */
  caPins: z.array(z.string()).max(16),
});
export type TrustedClusterSettings = z.infer<typeof trustedClusterSettings>;

export const trustedClusterFact = z.discriminatedUnion('type', [
  /** The stream has the name of that cluster. The token with which it agreed is not stored. */
  z.object({
    type: z.literal('trusted_cluster.created'),
    data: trustedClusterSettings.extend({ host: clusterKeys, user: clusterKeys }),
  }),
  z.object({ type: z.literal('trusted_cluster.updated'), data: trustedClusterSettings }),
  /**
   * `announced`: by a statement that a key known before has signed, as in a rotation. `exchanged`: an
   * operator gave another token. A newer release may have further ways; no session under the keys before
   * stays after these.
   */
  z.object({
    type: z.literal('trusted_cluster.keys_changed'),
    data: clusterKeys.extend({ authority: authorityType, how: z.string() }),
  }),
  z.object({ type: z.literal('trusted_cluster.deleted'), data: z.object({}) }),
]);
export type TrustedClusterFact = z.infer<typeof trustedClusterFact>;

/** That cluster has agreed, and these are its keys. */
export interface EstablishTrust {
  readonly type: 'establish';
  /** `replace`: it may be trusted already. */
  readonly replace: boolean;
  readonly settings: TrustedClusterSettings;
  readonly host: ClusterKeys;
  readonly user: ClusterKeys;
}
export interface UpdateTrust {
  readonly type: 'update';
  readonly settings: TrustedClusterSettings;
}
/** A statement of its keys, each of which has signed it: that was checked. */
export interface FollowKeys {
  readonly type: 'follow-keys';
  readonly authority: AuthorityType;
  readonly stated: ClusterKeys;
}
export interface DeleteTrust {
  readonly type: 'delete';
}
export type TrustedClusterCommand = EstablishTrust | UpdateTrust | FollowKeys | DeleteTrust;

export interface TrustedCluster extends TrustedClusterSettings {
  readonly status: 'trusted';
  readonly host: KnownKeys;
  readonly user: KnownKeys;
}
export type TrustedClusterState = { readonly status: 'absent' } | TrustedCluster;

/** Another cluster, whose people are let in here with the roles that a map gives them. */
export const trustedCluster: Decider<TrustedClusterState, TrustedClusterCommand, TrustedClusterFact> = {
  fact: writerReads(trustedClusterFact),
  initial: { status: 'absent' },

  decide(state, command) {
    switch (command.type) {
      case 'establish':
        return establish(state, command);
      case 'update':
        return update(requireTrusted(state), command.settings);
      case 'follow-keys':
        return follow(requireTrusted(state), command);
      case 'delete':
        requireTrusted(state);
        return [{ type: 'trusted_cluster.deleted', data: {} }];
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'trusted_cluster.created': {
        const { host, user, ...settings } = fact.data;
        return { status: 'trusted', ...settings, host: knownKeys(host), user: knownKeys(user) };
      }
      case 'trusted_cluster.updated':
        return state.status === 'trusted' ? { ...state, ...fact.data } : state;
      case 'trusted_cluster.keys_changed': {
        if (state.status !== 'trusted') return state;
        const { authority, how, ...stated } = fact.data;
        const known = keysAfter(state[authority], stated, how === 'announced' ? 'announced' : 'exchanged');
        return { ...state, [authority]: known };
      }
      case 'trusted_cluster.deleted':
        return { status: 'absent' };
      default:
        return unreachable(fact);
    }
  },
};

function requireTrusted(state: TrustedClusterState): TrustedCluster {
  if (state.status === 'absent') throw new CodedError('not_found', 'the trusted cluster is not found');
  return state;
}

function establish(
  state: TrustedClusterState,
  { settings, host, user, replace }: EstablishTrust,
): readonly TrustedClusterFact[] {
  checkRoleMap(settings.roleMap);
  if (state.status === 'absent')
    return [{ type: 'trusted_cluster.created', data: { ...settings, host, user } }];
  if (!replace)
    throw new CodedError(
      'already_exists',
      'that cluster is trusted already, use -f or --force flag to overwrite',
    );
  return [
    ...update(state, settings),
    ...changed(state, 'host', host, 'exchanged'),
    ...changed(state, 'user', user, 'exchanged'),
  ];
}

function update(state: TrustedCluster, settings: TrustedClusterSettings): readonly TrustedClusterFact[] {
  checkRoleMap(settings.roleMap);
  const before = trustedClusterSettings.parse(state);
  return JSON.stringify(before) === JSON.stringify(trustedClusterSettings.parse(settings))
    ? []
    : [{ type: 'trusted_cluster.updated', data: settings }];
}

function follow(state: TrustedCluster, { authority, stated }: FollowKeys): readonly TrustedClusterFact[] {
  requireFollowing(state[authority], stated);
  return changed(state, authority, stated, 'announced');
}

/**
 * Every stated key has signed, so one that is known vouches for the others. @throws CodedError
 * `access_denied`
 * where none is, and for what is older than what is known.
 */
export function requireFollowing(known: ClusterKeys, stated: ClusterKeys): void {
  if (stated.number < known.number)
    throw new CodedError('access_denied', 'the statement of keys is older than one that was accepted before');
  const isKnown = ({ sshPublicKey }: ClusterKey): boolean =>
    known.keys.some((one) => one.sshPublicKey === sshPublicKey);
  if (!stated.keys.some(isKnown))
    throw new CodedError('access_denied', 'no key that is known has signed the statement of keys');
}

function changed(
  state: TrustedCluster,
  authority: AuthorityType,
  { keys, number }: ClusterKeys,
  how: 'announced' | 'exchanged',
): readonly TrustedClusterFact[] {
  const known = state[authority];
  // A number alone changes nothing that anybody decides by, and would be a fact at each announcement.
  if (areSameKeys(known.keys, keys) && (number === known.number || how === 'exchanged')) return [];
  return [{ type: 'trusted_cluster.keys_changed', data: { authority, keys: [...keys], number, how } }];
}
