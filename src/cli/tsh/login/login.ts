import { CodedError, isCoded } from '../../../base/errors.ts';
import type { HostPort } from '../../../base/service.ts';
import { second } from '../../../base/time.ts';
import { signalAfter } from '../../../base/timers.ts';
import { version } from '../../../base/version.ts';
import { generateEd25519 } from '../../../pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../../pki/openssh-private-key.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { CliIo } from '../../cli-io.ts';
import { type Prompter, openPrompter } from '../../prompt.ts';
import {
  type ClientIdentity,
  type Credentials,
  isExpired,
  issuerOf,
  readCredentials,
  tlsAuthoritiesOf,
} from './client-identity.ts';
import { type ClusterAuthorities, knownAuthorities, readKnownHosts } from './known-hosts.ts';
import type { Profile } from './profile.ts';
import { acceptChanges, changedClusters, changedHosts } from './announced.ts';
import { defaultSshPort, defaultWebPort, webUrl } from '../cluster/proxy-address.ts';
import type { Settings } from '../settings.ts';
import { webAuthorities } from './trust.ts';
import {
  type LoginAnswer,
  type PingAnswer,
  type RequestWanted,
  compareVersions,
} from '../cluster/web-answers.ts';
import { type WebTarget, logIn, ping } from '../cluster/web-client.ts';
import { proxySsh } from '../ways/proxy-ssh.ts';
import type { WayKind } from '../ways/way.ts';

/** The result of a login. Nothing of it is stored yet. */
export interface LoggedIn {
  readonly profile: Profile;
  readonly credentials: Credentials;
  readonly identity: ClientIdentity;
  readonly authorities: readonly ClusterAuthorities[];
  /**
   * Names of other clusters to which the proxy says that it leads. Nothing that it says of their keys
   * counts.
   */
  readonly leaves?: readonly string[];
  /** Where a role wants roles to be requested with the login. */
  readonly request?: RequestWanted | undefined;
}

/**
 * Where the web side of the proxy is, from flags and profile. @throws CodedError `bad_request` when none of
 * them names it.
 */
export function webAddressOf(settings: Settings): HostPort {
  const { proxy, profile } = settings;
  if (proxy !== undefined)
    return { host: proxy.host, port: proxy.webPort ?? profile?.web.port ?? defaultWebPort };
  if (profile !== undefined) return profile.web;
  throw new CodedError('bad_request', 'No proxy address specified, missed --proxy flag?');
}

/**
 * Asks the proxy, asks for password and code, makes a key here, has it certified, and checks the response.
 * `cluster` is the cluster that the certificates are for; undefined: the proxy's own.
 * @throws CodedError `access_denied` when the proxy refuses, `unavailable` when it cannot be reached or is
 *   not one of ours.
 */
export async function requestLogin(settings: Settings, io: CliIo, cluster?: string): Promise<LoggedIn> {
  const { target, answer } = await askProxy(settings, io);
  const prompter = openPrompter(io);
  const done = new AbortController();
  const accept = (changes: readonly string[]): Promise<void> =>
    acceptChanges(changes, webUrl(target.address), { accepted: settings.acceptAnnounced, prompter });
  try {
    await accept(changedHosts(addressesOf(target.address, answer, settings), hostsKnown(target, settings)));
    const way = findWay(settings, io, { target, answer, done: done.signal }); // while the password is typed
    const found = await withPassword(settings, io, { target, answer, prompter, cluster });
    const loggedIn = { ...found, profile: { ...found.profile, way: await way } };
    const known = knownAuthorities(readKnownHosts(settings.home));
    await accept(changedClusters(loggedIn.authorities, loggedIn.profile.proxyHost, known));
    return loggedIn;
  } finally {
    done.abort();
    prompter.close();
  }
}

/** Nobody waits longer for it, and the first command finds it too. */
const findMs = 3 * second;

/** How the proxy's SSH is reached from here, so that no command has to find out. Undefined: by no way now. */
async function findWay(
  settings: Settings,
  io: CliIo,
  { target, answer, done }: Pick<Asked, 'target' | 'answer'> & { readonly done: AbortSignal },
): Promise<WayKind | undefined> {
  const { web, ssh } = addressesOf(target.address, answer, settings);
  const ways = proxySsh({
    places: { web, ssh },
    remembered: undefined,
    possible: ['port', ...answer.webWays],
    env: io.env,
    insecure: settings.insecure,
  });
  try {
    (await ways.open(AbortSignal.any([done, signalAfter(findMs)]))).destroy();
    return ways.used();
  } catch (e) {
    if (!isCoded(e)) throw e;
    if (settings.debug) io.stderr.write(`the proxy's SSH was not reached: ${e.message}\n`);
    return undefined;
  }
}

/**
 * The proxy of flags and profile, and what it says of itself. It asks for nothing that we cannot give.
 * @throws CodedError `unavailable` when it cannot be reached, is not one of ours, or wants something else.
 */
export async function askProxy(
  settings: Settings,
  io: CliIo,
): Promise<{ readonly target: WebTarget; readonly answer: PingAnswer }> {
  const target = webTarget(settings, io);
  const answer = await ping(target);
  checkVersion(answer, settings);
  checkMethod(answer);
  return { target, answer };
}

/** Asks for the password, and for a code where the cluster wants one. */
export async function askCredentials(
  prompter: Prompter,
  user: string,
  { secondFactor }: Pick<PingAnswer, 'secondFactor'>,
): Promise<{ readonly password: string; readonly otp: string }> {
  const password = await prompter.hidden(`Enter password for Teleport user ${user}:`);
  const otp = secondFactor === 'off' ? '' : await prompter.hidden('Enter your OTP token:');
  return { password, otp: otp.trim() };
}

/** The hosts that the person named, and those of earlier logins. */
const hostsKnown = ({ address }: WebTarget, { proxy, profile }: Settings): readonly string[] =>
  [address.host, proxy?.host, profile?.proxyHost, profile?.web.host, profile?.ssh.host].filter(
    (host) => host !== undefined,
  );

function webTarget(settings: Settings, io: CliIo): WebTarget {
  const address = webAddressOf(settings);
  if (settings.insecure)
    io.stderr.write(`WARNING: You are using insecure connection to SSH proxy ${webUrl(address)}\n`);
  const authorities = settings.insecure ? [] : webAuthorities(address.host, io.env);
  return { address, authorities, insecure: settings.insecure, env: io.env };
}

interface Asked {
  readonly target: WebTarget;
  readonly answer: PingAnswer;
  readonly prompter: Prompter;
  readonly cluster: string | undefined;
}

async function withPassword(settings: Settings, io: CliIo, asked: Asked): Promise<LoggedIn> {
  const { target, answer, prompter } = asked;
  const { password, otp } = await askCredentials(prompter, settings.user, answer);
  const privateKey = generateEd25519();
  const publicKey = toAuthorizedKeyLine(publicKeyOf(privateKey).blob);
  const certified = await logIn(target, {
    user: settings.user,
    password,
    otp,
    publicKey,
    ttlSeconds: settings.ttlSeconds,
    format: settings.certificateFormat,
    routeToCluster: asked.cluster ?? '',
  }).catch((e: unknown) => {
    throw refusedProof(e, settings.user, target.address, answer);
  });
  const credentials: Credentials = {
    privateKeyPem: encodeOpensshPrivateKey(privateKey, `teleport:${settings.user}`),
    sshCertificate: certified.sshCertificate,
    tlsCertificatePem: certified.tlsCertificatePem,
    tlsCasPem: tlsAuthoritiesOf(ownSigners(certified)),
  };
  return verified(settings, io, credentials, { certified, answer, target, cluster: asked.cluster });
}

interface Certified {
  readonly certified: LoginAnswer;
  readonly answer: PingAnswer;
  readonly target: WebTarget;
  readonly cluster: string | undefined;
}

function verified(settings: Settings, io: CliIo, credentials: Credentials, got: Certified): LoggedIn {
  const identity = readCredentials(credentials);
  if (identity.username !== settings.user)
    throw new CodedError(
      'access_denied',
      `the proxy answered with a certificate of another user, '${identity.username}': it is not used`,
    );
  if (isExpired(identity, io.world.now()))
    throw new CodedError(
      'access_denied',
      'the proxy answered with a certificate that has expired already: compare the clocks of this machine and the proxy',
    );
  const authorities = ownSigners(got.certified);
  const profile: Profile = {
    ...addressesOf(got.target.address, got.answer, settings),
    user: settings.user,
    cluster: got.cluster ?? identity.clusterName,
  };
  const leaves = got.certified.hostSigners
    .filter((one) => !authorities.includes(one))
    .map(({ clusterName }) => clusterName);
  return { profile, credentials, identity, authorities, leaves, request: got.certified.request };
}

/**
 * The host authority of the proxy's own cluster. A proxy that claims none has all that it claims taken for
 * its own, and looked at as such.
 */
function ownSigners({ hostSigners, tlsCertificatePem }: LoginAnswer): LoginAnswer['hostSigners'] {
  const own = hostSigners.filter(({ clusterName }) => clusterName === issuerOf(tlsCertificatePem));
  return own.length > 0 ? own : hostSigners;
}

/** The addresses of the proxy from now on. Source: reference 4.4, webapi ping. */
export function addressesOf(
  web: HostPort,
  answer: PingAnswer,
  { proxy, profile }: Pick<Settings, 'proxy' | 'profile'>,
): Pick<Profile, 'proxyHost' | 'web' | 'ssh'> {
  const publicWeb = answer.publicAddress ?? web;
  return {
    proxyHost: proxy?.host ?? profile?.proxyHost ?? web.host,
    web: publicWeb,
    ssh: sshAddressOf(publicWeb.host, answer, proxy?.sshPort),
  };
}

/**
 * The port of the command line comes first; then the one that the proxy calls public; then the port it
 * listens on.
 */
function sshAddressOf(webHost: string, answer: PingAnswer, given: number | undefined): HostPort {
  if (given !== undefined) return { host: webHost, port: given };
  return answer.sshPublicAddress ?? { host: webHost, port: answer.sshListenPort ?? defaultSshPort };
}

function checkVersion(answer: PingAnswer, settings: Settings): void {
  if (settings.skipVersionCheck || answer.minClientVersion === '') return;
  if (compareVersions(version, answer.minClientVersion) < 0)
    throw new CodedError(
      'unavailable',
      `Minimum client version supported by the server is ${answer.minClientVersion} but you are using ${version}. ` +
        'Please upgrade tsh, or use the --skip-version-check flag to bypass this check.',
    );
}

function checkMethod(answer: PingAnswer): void {
  if (answer.authType !== 'local')
    throw new CodedError(
      'unavailable',
      `this cluster logs in with ${answer.authType}, which is not available in this release`,
    );
  if (!['off', 'otp', 'totp', 'hotp'].includes(answer.secondFactor))
    throw new CodedError(
      'unavailable',
      `this cluster wants ${answer.secondFactor || 'an unknown kind of'} second factor, which is not available in this release`,
    );
}

/** A refusal with whom it was about, and what to wait for. Other errors as they are. */
export function refusedProof(
  e: unknown,
  user: string,
  address: HostPort,
  { secondFactor }: Pick<PingAnswer, 'secondFactor'>,
): unknown {
  if (!isCoded(e, 'access_denied')) return e;
  const next =
    secondFactor === 'off' ? '' : ' (a code works once: wait for the next one before trying again)';
  return new CodedError('access_denied', `${e.message}: tried user '${user}' at ${webUrl(address)}${next}`, {
    cause: e,
  });
}
