import { CodedError } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import type { Run } from '../../program.ts';
import { usage } from '../../usage.ts';
import { removeFromAgent } from './agent-keys.ts';
import { removeCredentials, storedUsers } from './key-store.ts';
import { tshProgram } from '../program.ts';
import { type Settings, readSettings } from '../settings.ts';

/** `tsh logout`: removes one login, or all; known hosts and addresses stay. */
export const logoutCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const proxyHost = settings.proxy?.host;
  if (proxyHost === undefined && !settings.userGiven) return logoutAll(settings, io);
  if (proxyHost === undefined || !settings.userGiven) {
    io.stdout.write(usage(tshProgram, 'logout'));
    return 0;
  }
  return logoutOne(settings, proxyHost, io);
};

async function logoutOne(settings: Settings, proxyHost: string, io: CliIo): Promise<number> {
  if (!removeCredentials(settings.home, proxyHost, settings.user))
    throw new CodedError('not_found', `User ${settings.user} already logged out from ${proxyHost}.`);
  if (settings.useAgent) await removeFromAgent(io, settings.debug, settings.user);
  io.stdout.write(`Logged out ${settings.user} from ${proxyHost}.\n`);
  return 0;
}

async function logoutAll(settings: Settings, io: CliIo): Promise<number> {
  const users = storedUsers(settings.home);
  for (const { proxyHost, user } of users) removeCredentials(settings.home, proxyHost, user);
  if (settings.useAgent) await removeFromAgent(io, settings.debug, undefined);
  io.stdout.write(
    users.length === 0 ? 'All users logged out.\n' : 'Logged out all users from all proxies.\n',
  );
  return 0;
}
