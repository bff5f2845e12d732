import { CodedError, isCoded } from '../../../base/errors.ts';
import { shellQuote } from '../../../base/shell-quote.ts';
import type { CliIo } from '../../cli-io.ts';
import { loadIntoAgent } from '../login/agent-keys.ts';
import { type ClientIdentity, isExpired, validUntilMs } from '../login/client-identity.ts';
import { type ClusterClient, LoginRefused, type Route } from './cluster-client.ts';
import { connectStored } from './connect-stored.ts';
import { readIdentityFile } from '../login/identity-file.ts';
import { loadIdentity } from '../login/key-store.ts';
import type { Profile } from '../login/profile.ts';
import { defaultSshPort } from './proxy-address.ts';
import type { Settings } from '../settings.ts';
import { openLeafTrust, openTrust } from '../trust/open-trust.ts';
import { storeLogin } from '../login/store-login.ts';

export interface ClusterOptions {
  /** From `--cluster`; undefined: the one in the profile. */
  readonly cluster?: string | undefined;
  readonly strictHostKeys?: boolean;
  readonly addKeysToAgent?: boolean;
  /** Whether a person at a terminal is asked for a login where the stored one does not hold. Default: yes. */
  readonly mayAsk?: boolean;
}

/** An identity and the place it is for. */
interface Standing {
  readonly identity: ClientIdentity;
  readonly profile: Profile | undefined;
}

/**
 * Connects to the cluster of flags and profile. Without a usable certificate, or when the proxy refuses it,
 * asks for a new login once, if a person is at a terminal; otherwise throws an error that explains how to log
 * in. Close the result.
 */
export async function openCluster(
  settings: Settings,
  io: CliIo,
  options: ClusterOptions = {},
): Promise<ClusterClient> {
  const found =
    settings.identityFile === undefined ? findStored(settings, io) : fromFile(settings.identityFile, io);
  if ('missing' in found) return reconnect(settings, io, options, found.missing);
  try {
    return await connect(found, settings, io, options);
  } catch (e) {
    if (!(e instanceof LoginRefused) || settings.identityFile !== undefined) throw e;
    return reconnect(settings, io, options, e.message);
  }
}

async function reconnect(
  settings: Settings,
  io: CliIo,
  options: ClusterOptions,
  why: string,
): Promise<ClusterClient> {
  const { proxy, profile } = settings;
  const at = proxy?.host ?? profile?.proxyHost;
  if (at === undefined)
    throw new CodedError('bad_request', 'No proxy address specified, missed --proxy flag?');
  if (options.mayAsk === false || io.stdin.isTTY !== true)
    throw new CodedError(
      'access_denied',
      `${why}: log in with 'tsh login --proxy=${at} --user=${shellQuote(settings.user)}'`,
    );
  io.stderr.write(`${why}\n`);
  const { requestLogin } = await import('../login/login.ts');
  const loggedIn = await requestLogin(settings, io);
  const identity = await storeLogin(settings, io, loggedIn);
  return connect({ identity, profile: loggedIn.profile }, settings, io, options);
}

/** The stored login for this proxy and user, or why there is no usable one. */
function findStored(settings: Settings, io: CliIo): Standing | { readonly missing: string } {
  const { profile } = settings;
  if (profile === undefined) return { missing: 'you are not logged in' };
  let identity: ClientIdentity | undefined;
  try {
    identity = loadIdentity(settings.home, profile.proxyHost, settings.user);
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    return { missing: e.message };
  }
  if (identity === undefined)
    return { missing: `user '${settings.user}' is not logged in to ${profile.proxyHost}` };
  if (!isExpired(identity, io.world.now())) return { identity, profile };
  const ended = new Date(validUntilMs(identity)).toISOString();
  return {
    missing: `the certificate of user '${settings.user}' for ${profile.proxyHost} expired at ${ended}`,
  };
}

function fromFile(path: string, io: CliIo): Standing {
  const identity = readIdentityFile(path);
  if (!isExpired(identity, io.world.now())) return { identity, profile: undefined };
  const ended = new Date(validUntilMs(identity)).toISOString();
  throw new CodedError(
    'access_denied',
    `the certificate in ${path} expired at ${ended}: ask for a new identity file`,
  );
}

async function connect(
  { identity, profile }: Standing,
  settings: Settings,
  io: CliIo,
  options: ClusterOptions,
): Promise<ClusterClient> {
  if (settings.useAgent && options.addKeysToAgent !== false && settings.identityFile === undefined)
    await loadIntoAgent(identity, io, settings.debug);
  const cluster = options.cluster ?? profile?.cluster ?? identity.clusterName;
  const trust = openTrust(identity, profile, settings, io);
  const connected = Promise.withResolvers<ClusterClient>();
  const inside =
    cluster === identity.clusterName
      ? undefined
      : openLeafTrust(
          cluster,
          { identity, profile },
          async () => {
            const { leafAuthority } = await import('./cluster-auth.ts');
            return leafAuthority(await connected.promise, io, cluster);
          },
          settings,
          io,
        );
  const route = { ...proxyOf(settings, profile), identity, cluster, trust, inside };
  const due = trust.renewWhenDue(); // in parallel with the connection, so that it takes no extra time
  const client = await connectStored(route, profile, settings, io, options.strictHostKeys);
  connected.resolve(client);
  await due;
  await inside?.renewWhenDue();
  if (profile !== undefined && trust.userSigner() !== '') {
    const { exchangeIfLeaving } = await import('../login/renew-login.ts');
    await exchangeIfLeaving(client, settings, io, { ...profile, way: client.route.ways?.used() });
  }
  return client;
}

/** The values of `--proxy` and `-J` override stored ones. */
function proxyOf(
  settings: Settings,
  profile: Pick<Profile, 'ssh'> | undefined,
): Pick<Route, 'proxy' | 'proxyUsername'> {
  const { proxy, jumpHost } = settings;
  if (jumpHost !== undefined) return { proxy: jumpHost.address, proxyUsername: jumpHost.username };
  const stored = profile?.ssh;
  if (proxy?.sshPort !== undefined)
    return { proxy: { host: stored?.host ?? proxy.host, port: proxy.sshPort }, proxyUsername: undefined };
  if (stored !== undefined) return { proxy: stored, proxyUsername: undefined };
  if (proxy === undefined)
    throw new CodedError('bad_request', 'No proxy address specified, missed --proxy flag?');
  return { proxy: { host: proxy.host, port: defaultSshPort }, proxyUsername: undefined };
}
