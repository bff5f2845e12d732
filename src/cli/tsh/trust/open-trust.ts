import { fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { CliIo } from '../../cli-io.ts';
import { readAuthorities } from '../cluster/web-client.ts';
import type { ClientIdentity } from '../login/client-identity.ts';
import { webAddressOf } from '../login/login.ts';
import type { Profile } from '../login/profile.ts';
import type { Settings } from '../settings.ts';
import { ClusterTrust } from './cluster-trust.ts';
import type { HostKeys } from './judge-announcement.ts';
import { identityFileTrust, storedTrust, trustInMemory } from './trust-stores.ts';

/**
 * Of a cluster that the one of the login leads to. What is not known of it, that one says.
 * @param vouched asks it, over a connection on which it has proved itself. @throws CodedError
 */
export function openLeafTrust(
  clusterName: string,
  { identity, profile }: { readonly identity: ClientIdentity; readonly profile: Profile | undefined },
  vouched: () => Promise<HostKeys>,
  settings: Settings,
  io: CliIo,
): ClusterTrust {
  const store =
    profile === undefined
      ? trustInMemory(identity, clusterName, { sshKeys: [], tlsCasPem: [] })
      : storedTrust(settings.home, { ...profile, user: settings.user }, identity, clusterName);
  const { keys } = store.read();
  const known = {
    clusterName,
    hostAuthorities: keys.sshKeys.map((line) => fromAuthorizedKeyLine(line)),
    tlsCasPem: keys.tlsCasPem,
  };
  return new ClusterTrust(known, { store, vouched }, io);
}

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
