import { isCoded } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import { webAddressOf } from '../login/login.ts';
import { loadProfile, type Profile, updateProfile } from '../login/profile.ts';
import type { Settings } from '../settings.ts';
import { proxySsh } from '../ways/proxy-ssh.ts';
import type { WayKind } from '../ways/way.ts';
import { type ClusterClient, type Route, connectCluster } from './cluster-client.ts';

/**
 * Connects to the proxy by whichever way leads there, first the one that did before, and remembers it in
 * the profile. Close the result.
 * @param profile undefined: the identity comes from a file, and nothing is remembered.
 */
export async function connectStored(
  route: Omit<Route, 'ways'>,
  profile: Profile | undefined,
  settings: Settings,
  io: CliIo,
  strictHostKeys?: boolean,
): Promise<ClusterClient> {
  // A host to jump over has nothing but its SSH.
  if (settings.jumpHost !== undefined) return connectCluster(route, settings, io, strictHostKeys);
  const ways = proxySsh({
    places: { ssh: route.proxy, web: webAddressOf(settings) },
    remembered: profile?.way,
    env: io.env,
    insecure: settings.insecure,
  });
  const client = await connectCluster({ ...route, ways }, settings, io, strictHostKeys);
  const used = ways.used();
  if (settings.debug && used !== undefined) io.stderr.write(`the proxy was reached by way of: ${used}\n`);
  if (profile !== undefined && used !== undefined && used !== (profile.way ?? 'port'))
    await remember(profile, used, settings, io);
  return client;
}

/** In the profile as it is now: another command may have written it meanwhile. */
async function remember({ proxyHost }: Profile, way: WayKind, { home }: Settings, io: CliIo): Promise<void> {
  try {
    const now = await loadProfile(home, proxyHost);
    if (now !== undefined && now.way !== way) await updateProfile(home, { ...now, way });
  } catch (e) {
    // The command itself needs nothing of it.
    io.stderr.write(
      `WARNING: it was not remembered how the proxy is reached (${way}): ${isCoded(e) ? e.message : String(e)}\n`,
    );
  }
}
