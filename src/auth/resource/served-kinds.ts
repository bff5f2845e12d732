import { kindNamed, kindsOfResources } from '../../domain/resources/registry.ts';
import { servedAccessRequests } from './kinds/access-request.ts';
import { servedAuthorities } from './kinds/authority.ts';
import { servedClusterKinds } from './kinds/cluster.ts';
import { servedHostKinds } from './kinds/hosts.ts';
import { servedLocks } from './kinds/lock.ts';
import { servedRemoteClusters, servedReverseTunnels } from './kinds/other-clusters.ts';
import { servedRoles } from './kinds/role.ts';
import { servedTokens } from './kinds/token.ts';
import { servedTrustedClusters } from './kinds/trusted-cluster.ts';
import { servedUsers } from './kinds/user.ts';
import type { ServedKind } from './served-kind.ts';

/** One for each kind of the registry. */
export const servedKinds: readonly ServedKind[] = [
  servedRoles,
  servedUsers,
  servedTokens,
  servedLocks,
  servedAccessRequests,
  servedTrustedClusters,
  servedRemoteClusters,
  servedReverseTunnels,
  ...servedHostKinds,
  servedAuthorities,
  ...servedClusterKinds,
];

const byKind = new Map(servedKinds.map((one) => [one.kind.kind, one]));
const unserved = kindsOfResources.find(({ kind }) => !byKind.has(kind));
if (unserved !== undefined) throw new Error(`bug: nothing serves resources of kind ${unserved.kind}`);

/** @throws CodedError `bad_request` for what is no kind. */
export function servedKind(name: string): ServedKind {
  const { kind } = kindNamed(name);
  const served = byKind.get(kind);
  if (served === undefined) throw new Error(`bug: nothing serves resources of kind ${kind}`);
  return served;
}
