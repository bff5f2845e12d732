import { announcedOf } from '../../api/announced-authority.ts';
import { followTrust as row } from '../../api/operations/trust.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { SignedAnnouncement } from '../../domain/authority-facts.ts';
import type { Call } from '../../api/server-deps.ts';
import { areSameKeys } from '../../domain/cluster-keys.ts';
import { remoteCluster } from '../../domain/remote-cluster.ts';
import { remoteClusterStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { findRemote } from '../../views/remote-clusters.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { clusterOf } from '../lookups.ts';
import { requireOwnKeys, statedKeys } from './stated-keys.ts';

/**
 * What this cluster announces of its keys; and what one that trusts it announces of its own, which is
 * accepted
 * where a known key of it has signed. Anyone may ask and say anything: what is not accepted is only logged.
 */
export const followTrust = implementing(row, (deps, call, { clusterName, host }) =>
  deps.joins.admit(call.caller.address, async () => {
    if (host !== undefined) await accept(deps, call, clusterName, host);
    const authorities = deps.views.authorities.state();
    const [ownHost, ownUser] = [announcedOf(authorities.host.state), announcedOf(authorities.user.state)];
    return {
      clusterName: clusterOf(deps.views).clusterName,
      ...(ownHost.announcement === undefined ? {} : { host: ownHost.announcement }),
      ...(ownUser.announcement === undefined ? {} : { user: ownUser.announcement }),
    };
  }),
);

async function accept(
  deps: AuthDeps,
  call: Call,
  clusterName: string,
  statement: SignedAnnouncement,
): Promise<void> {
  // Most have nothing new to say: that costs no look at the store.
  if (findRemote(deps.views.remoteClusters.state(), clusterName) === undefined) return;
  try {
    const stated = statedKeys(deps, { clusterName, type: 'host', statement, after: 0 });
    const before = findRemote(deps.views.remoteClusters.state(), clusterName)?.host;
    if (before?.number === stated.number && areSameKeys(before.keys, stated.keys)) return;
    const asOf = await deps.views.fresh();
    const known = findRemote(deps.views.remoteClusters.state(), clusterName)?.host;
    if (known === undefined) return;
    requireKnown(known.keys, stated.keys);
    requireOwnKeys(deps, clusterName, { host: stated.keys });
    const { position } = await transact(
      deps.log.state,
      [step(remoteCluster, remoteClusterStream(clusterName), { type: 'follow-keys', stated })],
      { ...causeOf(deps, call), actor: `cluster:${clusterName}` },
      termsOf(call, asOf),
    );
    if (position === undefined) return;
    await deps.views.reached(position);
    deps.sink.info('a cluster that trusts this one has other keys now', { cluster: clusterName });
  } catch (e) {
    if (!isCoded(e)) throw e;
    deps.sink.debug('an announcement of the keys of another cluster was not accepted', {
      ...{ cluster: clusterName, reason: e.message, address: call.caller.address },
    });
  }
}

/** A cheap look before the store is asked. */
function requireKnown(
  known: readonly { readonly sshPublicKey: string }[],
  stated: readonly { readonly sshPublicKey: string }[],
): void {
  if (known.some((key) => stated.some((one) => one.sshPublicKey === key.sshPublicKey))) return;
  throw new CodedError('access_denied', 'no key that is known has signed it');
}
