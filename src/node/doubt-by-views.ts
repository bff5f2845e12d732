import type { World } from '../base/world.ts';
import { authorityBlobs } from '../pki/ssh-key.ts';
import type { DoubtAboutClient } from '../ssh/server-greeting.ts';
import { doubtAbout } from '../ssh/signed-client.ts';
import { trustedOf } from '../views/authorities.ts';
import { findHost } from '../views/hosts.ts';
import type { NodeViews } from './node-views.ts';

/**
 * Who may vouch for a client's address: a host with a certificate of the role Proxy, from a host authority
 * that is trusted now, which is a proxy of the cluster in this node's last folded state. The address it comes
 * from plays no part.
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
