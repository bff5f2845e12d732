import type { World } from '../base/world.ts';
import { authorityBlobs } from '../pki/ssh-key.ts';
import type { DoubtAboutClient } from '../ssh/server-greeting.ts';
import { doubtAbout } from '../ssh/signed-client.ts';
import { trustedOf } from '../views/authorities.ts';
import { findHost } from '../views/hosts.ts';
import type { NodeViews } from './node-views.ts';

/**
 * Whose word counts about who a client is: that of a host with a certificate of the role Proxy, by a host
 * authority that is trusted now, which is a proxy of the cluster by what this node last folded. Where it
 * comes from says nothing.
 */
export const doubtByViews =
  (
    { authorities, hosts }: Pick<NodeViews, 'authorities' | 'hosts'>,
    node: { readonly hostId: string; readonly clusterName: string },
    world: Pick<World, 'now'>,
  ): DoubtAboutClient =>
  (preamble, challenge) =>
    doubtAbout(
      preamble,
      { challenge, hostId: node.hostId },
      {
        hostAuthorities: authorityBlobs(trustedOf(authorities.state(), 'host')),
        clusterName: node.clusterName,
        now: BigInt(Math.floor(Date.parse(world.now()) / 1000)),
        isProxy: (hostId) => findHost(hosts.state(), hostId, 'Proxy') !== undefined,
      },
    );
