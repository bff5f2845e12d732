import { CodedError, isCoded } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import type { Settings } from '../settings.ts';
import { type Profile, saveProfile } from './profile.ts';
import { renew } from './renew-login.ts';

/**
 * From now on commands go to this cluster, and stock ssh is led there by the certificate, which is exchanged
 * for another one with the same end. Nobody is asked for a password.
 * @throws CodedError `not_found` for a cluster that the proxy does not lead to. Nothing has changed then.
 */
export async function goToCluster(
  settings: Settings,
  io: CliIo,
  profile: Profile,
  wanted: string,
): Promise<Profile> {
  const cluster = await openCluster({ ...settings, profile }, io, { mayAsk: false });
  try {
    const names = (await cluster.sites()).map(({ name }) => name);
    if (!names.includes(wanted))
      throw new CodedError(
        'not_found',
        `the proxy at ${profile.proxyHost} does not lead to a cluster ${JSON.stringify(wanted)}; it leads to ${names.join(', ')}`,
      );
    const next = { ...profile, cluster: wanted };
    await saveProfile(settings.home, next);
    try {
      await renew(cluster, settings, io, next, wanted);
    } catch (e) {
      if (!isCoded(e)) throw e;
      io.stderr.write(
        `WARNING: the certificate still leads stock ssh to the cluster before (${e.message}): ` +
          `name the cluster there ("ssh -J … node.${wanted}")\n`,
      );
    }
    return next;
  } finally {
    cluster.close();
  }
}
