import { isCoded } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import { leafAuthority } from '../cluster/cluster-auth.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import type { Settings } from '../settings.ts';
import { openLeafTrust } from '../trust/open-trust.ts';
import type { LoggedIn } from './login.ts';

/** A proxy may name any number. */
const mostLeaves = 64;

/**
 * Learns the host authorities of the clusters that the proxy has named, so that stock ssh goes there at once.
 * An auth server says them, over a connection on which it has proved itself: the proxy has no say in it. A
 * failure becomes a warning, since every command that goes there asks again.
 */
export async function learnLeaves(
  settings: Settings,
  io: CliIo,
  { profile, identity, leaves = [] }: LoggedIn,
): Promise<void> {
  try {
    const options = { mayAsk: false, cluster: identity.clusterName };
    const cluster = await openCluster({ ...settings, profile }, io, options);
    try {
      for (const name of leaves.slice(0, mostLeaves)) {
        const vouched = (): ReturnType<typeof leafAuthority> => leafAuthority(cluster, io, name);
        const { renewal } = await openLeafTrust(name, { identity, profile }, vouched, settings, io).renew();
        if (renewal.status === 'unreachable' || renewal.status === 'refused')
          io.stderr.write(`WARNING: the keys of cluster ${name} are not known yet: ${renewal.reason}\n`);
      }
    } finally {
      cluster.close();
    }
  } catch (e) {
    if (!isCoded(e)) throw e;
    io.stderr.write(`WARNING: the keys of other clusters are not known yet: ${e.message}\n`);
  }
}
