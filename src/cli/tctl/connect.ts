import { connectAuth } from '../../api/auth-connection.ts';
import type { AuthClient } from '../../api/client.ts';
import { inWords, tlsFailureOf } from '../../api/tls-failures.ts';
import { isAnswer } from '../../api/wire-errors.ts';
import { callable, parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import type { Instant } from '../../base/time.ts';
import { readCertificate } from '../../pki/x509.ts';
import { readConfiguration, type Configuration } from '../../process/configuration/configuration.ts';
import { loadIdentity } from '../../process/identity/identity-store.ts';
import type { Invocation } from '../args.ts';
import type { connectByIdentity } from './identity-connection.ts';
import type { CliIo } from '../cli-io.ts';

/**
 * The configuration with which the daemon on this machine was started, for commands that read its store.
 * @throws CodedError `bad_request` with an identity file, which cannot open a store.
 */
export function configurationOf(invocation: Invocation, io: CliIo): Configuration {
  if (invocation.text('identity') !== undefined)
    throw new CodedError(
      'bad_request',
      `-i/--identity cannot be used with ${invocation.command}: it reads the store by the configuration of this machine`,
    );
  return configurationFor(invocation, io);
}

const configurationFor = (invocation: Invocation, io: CliIo): Configuration =>
  readConfiguration(
    { config: invocation.text('config'), configString: invocation.text('config-string') },
    io.env,
  );

/**
 * Calls an auth server as this machine's admin identity, or by an identity file, whichever responds, and
 * closes the connection whatever happens.
 * @param act gets the configuration of this machine; undefined with an identity file, since the cluster is
 *   then another machine's.
 * @throws CodedError `unavailable` in the words users of 4.4 know, when it does not respond.
 */
export async function withAuth<T>(
  invocation: Invocation,
  io: CliIo,
  act: (auth: AuthClient, configuration: Configuration | undefined) => Promise<T>,
  options: { readonly callTimeoutMs?: number } = {},
): Promise<T> {
  const configuration = configurationFor(invocation, io);
  const given = invocation.list('auth-server').map((text) => parseHostPort(text, 3025));
  const servers = given.length > 0 ? given : knownServers(configuration);
  const file = invocation.text('identity');
  if (file !== undefined) {
    const asked = { file, servers, insecure: invocation.on('insecure'), ...options };
    return byIdentity(asked, io, (auth) => act(auth, undefined));
  }
  if (invocation.on('insecure'))
    throw new CodedError('bad_request', '--insecure is for the web certificate of a proxy, with -i');
  const identity = identityOf(configuration);
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

async function byIdentity<T>(
  asked: Parameters<typeof connectByIdentity>[0],
  io: CliIo,
  act: (auth: AuthClient) => Promise<T>,
): Promise<T> {
  const { connectByIdentity } = await import('./identity-connection.ts');
  const { auth, identity, close } = await connectByIdentity(asked, io);
  try {
    return await act(auth);
  } catch (e) {
    const address = asked.servers.map(formatHostPort).join(', ');
    throw explained(e, { address, certificate: identity.tlsCertificatePem, now: io.world.now() });
  } finally {
    close();
  }
}

interface Asked {
  readonly address: string;
  /** PEM; ours. */
  readonly certificate: string;
  readonly now: Instant;
}

/**
 * What went wrong, in words for an administrator; a wrong clock is the one cause that no server can report.
 */
export function explained(e: unknown, { address, certificate, now }: Asked): unknown {
  const tls = tlsFailureOf(e);
  // Without the cause: its explanation would be for a person in front of a proxy.
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
      `${e.message}: the admin identity of this machine is valid from ${from} to ${to}, and its clock says ${now}. Set the ` +
        'clock (and keep it set: chrony, ntpd), then restart the auth server: it makes a new identity',
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
    `tctl must be either used on the auth server, after its first start, or provided with the identity file via --identity flag (${where}; name its configuration with --config)`,
  );
}

/** The one of this machine, and those in the configuration: any of them can act for the cluster. */
function knownServers(configuration: Configuration): HostPort[] {
  const all = [callable(configuration.listen.auth), ...(configuration.file.teleport.auth_servers ?? [])];
  return [...new Map(all.map((server) => [formatHostPort(server), server])).values()];
}
