import type { CliIo } from '../../cli-io.ts';
import { loadIntoAgent } from './agent-keys.ts';
import type { ClientIdentity } from './client-identity.ts';
import { loadIdentity, storeCredentials } from './key-store.ts';
import { storeAuthorities } from './known-hosts.ts';
import type { LoggedIn } from './login.ts';
import { saveProfile } from './profile.ts';
import type { Settings } from '../settings.ts';
import { writeLearnt } from '../trust/learnt.ts';
import { issuedAt } from '../trust/trust-stores.ts';

/**
 * Stores a login under the tsh home and offers the key to the agent. The profile is written last: until then,
 * the old login is the current one.
 */
export async function storeLogin(
  settings: Pick<Settings, 'home' | 'useAgent' | 'debug'>,
  io: CliIo,
  loggedIn: LoggedIn,
): Promise<ClientIdentity> {
  const { profile, credentials, authorities } = loggedIn;
  storeCredentials(settings.home, profile.proxyHost, profile.user, credentials);
  // Before the keys: no announcement from before this login can restore earlier keys.
  writeLearnt(settings.home, profile.proxyHost, {
    clusterName: loggedIn.identity.clusterName,
    learntAt: issuedAt(loggedIn.identity),
    number: 0,
    askedAt: io.world.now(),
  });
  const { clusterName } = loggedIn.identity;
  storeAuthorities(settings.home, authorities, { ...profile, clusterName });
  await saveProfile(settings.home, profile);
  const identity = loadIdentity(settings.home, profile.proxyHost, profile.user);
  if (identity === undefined) throw new Error('the login that was just stored is not there');
  if (settings.useAgent) await loadIntoAgent(identity, io, settings.debug);
  return identity;
}
