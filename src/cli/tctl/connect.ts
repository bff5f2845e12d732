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
import type { Configuration } from '../../process/configuration/configuration.ts';
import type { Invocation } from '../args.ts';
import type { connectByIdentity } from './identity-connection.ts';
import type { CliIo } from '../cli-io.ts';
import { configurationFor, machineOf } from './this-machine.ts';

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

interface CallOptions {
  readonly callTimeoutMs?: number;
}

/**
 * Calls an auth server by an identity file, as this machine's admin identity, or as the person who logged in
 * with tsh, and closes the connection whatever happens. The first of these that is there decides, except that
 * `--proxy` asks for the person.
 * @param act gets the configuration of this machine; undefined where the cluster may be another machine's.
 * @throws CodedError `unavailable` in the words users of 4.4 know, when it does not respond.
 */
export async function withAuth<T>(
  invocation: Invocation,
  io: CliIo,
  act: (auth: AuthClient, configuration: Configuration | undefined) => Promise<T>,
  options: CallOptions = {},
): Promise<T> {
  const asks = askedIn(invocation);
  const remote = (auth: AuthClient): Promise<T> => act(auth, undefined);
  if (asks.proxy) return asPerson(invocation, io, remote, { ...options, because: '--proxy was given' });
  if (asks.insecure && !asks.identity)
    throw new CodedError('bad_request', '--insecure is for the web certificate of a proxy, with -i');
  const machine = machineOf(invocation, io);
  if (machine.status === 'stranger')
    return asPerson(invocation, io, remote, { ...options, because: machine.because });
  const { configuration } = machine;
  const given = invocation.list('auth-server').map((text) => parseHostPort(text, 3025));
  const servers = given.length > 0 ? given : knownServers(configuration);
  const file = invocation.text('identity');
  if (file !== undefined)
    return byIdentity({ file, servers, insecure: asks.insecure, ...options }, io, remote);
  const identity = machine.identity();
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

interface Wishes {
  readonly identity: boolean;
  readonly proxy: boolean;
  readonly insecure: boolean;
}

/** @throws CodedError `bad_request` for flags that mean different callers. */
function askedIn(invocation: Invocation): Wishes {
  const given = (flag: string): boolean => invocation.given(flag);
  const asks = { identity: given('identity'), proxy: given('proxy'), insecure: invocation.on('insecure') };
  const other = ['identity', 'auth-server', 'config', 'config-string', 'insecure'].find(given);
  if (asks.proxy && other !== undefined)
    throw new CodedError(
      'bad_request',
      `--proxy cannot be used with --${other}: it is for the login of a person with tsh`,
    );
  return asks;
}

async function asPerson<T>(
  invocation: Invocation,
  io: CliIo,
  act: (auth: AuthClient) => Promise<T>,
  { because, ...options }: CallOptions & { readonly because: string },
): Promise<T> {
  const { connectAsPerson } = await import('./person-connection.ts');
  const proxy = invocation.text('proxy');
  const asked = { proxy, because, debug: invocation.on('debug'), ...options };
  const { auth, address, close } = await connectAsPerson(asked, io);
  try {
    return await act(auth);
  } catch (e) {
    throw explained(e, { address, certificate: undefined, now: io.world.now() });
  } finally {
    close();
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
  /** PEM; ours. Undefined: known to be valid by the clock of this machine. */
  readonly certificate: string | undefined;
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
    if (certificate === undefined) return e;
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

/** The one of this machine, and those in the configuration: any of them can act for the cluster. */
function knownServers(configuration: Configuration): HostPort[] {
  const all = [callable(configuration.listen.auth), ...(configuration.file.teleport.auth_servers ?? [])];
  return [...new Map(all.map((server) => [formatHostPort(server), server])).values()];
}
