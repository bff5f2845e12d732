import { connectAuth } from '../../api/auth-connection.ts';
import type { AuthClient } from '../../api/client.ts';
import { inWords, tlsFailureOf } from '../../api/tls-failures.ts';
import { isAnswer } from '../../api/wire-errors.ts';
import { isWildcard, parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import type { Instant } from '../../base/time.ts';
import { readCertificate } from '../../pki/x509.ts';
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
  options: { readonly callTimeoutMs?: number } = {},
): Promise<T> {
  const configuration = configurationOf(invocation, io);
  const identity = identityOf(configuration);
  const given = invocation.list('auth-server').map((text) => parseHostPort(text, 3025));
  const servers = given.length > 0 ? given : knownServers(configuration);
  const auth = connectAuth({ servers, identity, sink: silentLog, world: io.world, ...options });
  try {
    return await act(auth, configuration);
  } catch (e) {
    throw explained(e, {
      address: servers.map(formatHostPort).join(', '),
      certificate: identity.tlsCertificatePem,
      now: io.world.now(),
    });
  } finally {
    auth.close();
  }
}

interface Asked {
  readonly address: string;
  /** PEM; ours. */
  readonly certificate: string;
  readonly now: Instant;
}

/** What went wrong, in words for who administers the cluster; clocks are the cause that no server can tell of. */
export function explained(e: unknown, { address, certificate, now }: Asked): unknown {
  const tls = tlsFailureOf(e);
  // Without the cause: it would be explained as to a person before a proxy.
  if (tls === 'clock' || tls === 'stranger')
    return new CodedError(
      'access_denied',
      `${address}: ${inWords(e, 'an authority of the cluster that this machine knows', now).message}`,
    );
  if (isCoded(e, 'access_denied')) {
    const { validFromDate, validToDate } = readCertificate(certificate);
    const at = Date.parse(now);
    if (validFromDate.getTime() <= at && at <= validToDate.getTime()) return e;
    const [from, to] = [validFromDate.toISOString(), validToDate.toISOString()];
    return new CodedError(
      'access_denied',
      `${e.message}: the admin identity of this machine holds from ${from} to ${to}, and its clock says ${now}. Set the ` +
        'clock (and keep it set: chrony, ntpd), then restart the auth server: it makes the identity anew',
      { cause: e },
    );
  }
  if (!isCoded(e, 'unavailable')) return e;
  if (isAnswer(e))
    return new CodedError('unavailable', `the auth server cannot do that now: ${e.message}`, { cause: e });
  return new CodedError(
    'unavailable',
    `[CLIENT]  Cannot connect to the auth server: ${e.message}.\nIs the auth server running on "${address}"?`,
    { cause: e },
  );
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
