import { isCoded } from '../../../base/errors.ts';
import { noLoginPrefix } from '../../../domain/names.ts';
import { requestedRolesOf, userIdentityOf } from '../../../pki/user-certificate.ts';
import type { Run } from '../../program.ts';
import { type ClientIdentity, validUntilMs } from './client-identity.ts';
import { loadIdentity } from './key-store.ts';
import { type Profile, currentProxyHost, loadProfiles } from './profile.ts';
import { webUrl } from '../cluster/proxy-address.ts';
import { type Settings, readSettings } from '../settings.ts';
import type { CliIo } from '../../cli-io.ts';
import { extensionsOf, formatStatus } from './status-text.ts';

/** `tsh status`: every login on this machine, the current one first. Makes no calls. */
export const statusCommand: Run = async (invocation, io) =>
  printStatus(await readSettings(invocation, io), io);

export async function printStatus(settings: Settings, io: CliIo): Promise<number> {
  const current = currentProxyHost(settings.home);
  const parts = (await loadProfiles(settings.home)).map((profile) => {
    const identity = usable(settings, profile, io);
    return identity === undefined
      ? ''
      : statusOf(profile, identity, profile.proxyHost === current, settings, io);
  });
  const text = parts.join('');
  io.stdout.write(text === '' ? 'Not logged in.\n' : text);
  return 0;
}

function usable(settings: Settings, profile: Profile, io: CliIo): ClientIdentity | undefined {
  try {
    return loadIdentity(settings.home, profile.proxyHost, profile.user);
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    io.stderr.write(
      `WARNING: ${profile.proxyHost}: ${e.message}; run 'tsh login --proxy=${profile.proxyHost}'\n`,
    );
    return undefined;
  }
}

function statusOf(
  profile: Profile,
  identity: ClientIdentity,
  active: boolean,
  settings: Settings,
  io: CliIo,
): string {
  const user = userIdentityOf(identity.certificate);
  return formatStatus(
    {
      active,
      url: webUrl(profile.web),
      username: identity.username,
      cluster: profile.cluster,
      roles: [...new Set([...user.roles, ...requestedRolesOf(identity.certificate)])],
      requests: user.accessRequests,
      logins: user.principals.filter((login) => !login.startsWith(noLoginPrefix)),
      traits: user.traits,
      validUntilMs: validUntilMs(identity),
      extensions: extensionsOf(identity.certificate),
    },
    Date.parse(io.world.now()),
    settings.debug,
  );
}
