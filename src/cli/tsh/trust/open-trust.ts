import type { CliIo } from '../../cli-io.ts';
import { readAuthorities } from '../cluster/web-client.ts';
import type { ClientIdentity } from '../login/client-identity.ts';
import { webAddressOf } from '../login/login.ts';
import type { Profile } from '../login/profile.ts';
import type { Settings } from '../settings.ts';
import { ClusterTrust } from './cluster-trust.ts';
import { identityFileTrust, storedTrust } from './trust-stores.ts';

/** @param profile of the login that the identity belongs to; undefined: it comes from a file. */
export function openTrust(
  identity: ClientIdentity,
  profile: Profile | undefined,
  settings: Settings,
  io: CliIo,
): ClusterTrust {
  const store =
    profile === undefined
      ? identityFileTrust(identity)
      : storedTrust(settings.home, { ...profile, user: settings.user }, identity);
  const announced = (): ReturnType<typeof readAuthorities> => readAuthorities(webAddressOf(settings), io.env);
  return new ClusterTrust(identity, { store, announced }, io);
}
