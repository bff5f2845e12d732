import { connectAuth } from '../../api/auth-connection.ts';
import type { AuthClient } from '../../api/client.ts';
import { isAnswer } from '../../api/wire-errors.ts';
import { isWildcard, parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { readConfiguration, type Configuration } from '../../process/configuration.ts';
import { loadIdentity } from '../../process/identity-store.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/** The configuration that the daemon on this machine was started with. */
export const configurationOf = (invocation: Invocation, io: CliIo): Configuration =>
  readConfiguration(
    { config: invocation.text('config'), configString: invocation.text('config-string') },
    io.env,
  );

/**
 * Calls an auth server as this machine's admin identity, whichever answers, and closes the connection whatever happens.
 * @throws CodedError `unavailable` in the words users of 4.4 know, when it does not answer.
 */
export async function withAuth<T>(
  invocation: Invocation,
  io: CliIo,
  act: (auth: AuthClient, configuration: Configuration) => Promise<T>,
): Promise<T> {
  const configuration = configurationOf(invocation, io);
  const identity = identityOf(configuration);
  const given = invocation.list('auth-server').map((text) => parseHostPort(text, 3025));
  const servers = given.length > 0 ? given : knownServers(configuration);
  const auth = connectAuth({ servers, identity, sink: silentLog, world: io.world });
  try {
    return await act(auth, configuration);
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    if (isAnswer(e))
      throw new CodedError('unavailable', `the auth server cannot do that now: ${e.message}`, { cause: e });
    const address = servers.map(formatHostPort).join(', ');
    throw new CodedError(
      'unavailable',
      `[CLIENT]  Cannot connect to the auth server: ${e.message}.\nIs the auth server running on "${address}"?`,
      { cause: e },
    );
  } finally {
    auth.close();
  }
}

function identityOf(configuration: Configuration): NonNullable<ReturnType<typeof loadIdentity>> {
  const where = `looked for the admin identity in ${configuration.dataDir}/proc`;
  try {
    const identity = loadIdentity(configuration.dataDir, 'Admin');
    if (identity !== undefined) return identity;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EACCES') throw e;
    throw new CodedError(
      'access_denied',
      `${where}, but this user may not read it: run tctl as the user that runs teleport`,
    );
  }
  throw new CodedError(
    'unavailable',
    `tctl must be used on the auth server, after its first start (${where}; name its configuration with --config)`,
  );
}

/** The one of this machine, and those that the configuration lists: any of them answers for the cluster. */
function knownServers(configuration: Configuration): HostPort[] {
  const all = [callable(configuration.listen.auth), ...(configuration.file.teleport.auth_servers ?? [])];
  return [...new Map(all.map((server) => [formatHostPort(server), server])).values()];
}

const callable = (address: HostPort): HostPort =>
  isWildcard(address.host) ? { host: '127.0.0.1', port: address.port } : address;
