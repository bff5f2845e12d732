import { connectAuth } from '../../api/auth-connection.ts';
import type { AuthClient } from '../../api/client.ts';
import { readClaimed } from '../../api/join-client.ts';
import { pingCluster } from '../../api/operations/cluster.ts';
import { inWords, tlsFailureOf } from '../../api/tls-failures.ts';
import { isAnswer } from '../../api/wire-errors.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { privateKeyPem } from '../../pki/key-pair.ts';
import type { CliIo } from '../cli-io.ts';
import { explain } from '../errors.ts';
import { openAuth } from '../tsh/cluster/cluster-auth.ts';
import { type ClusterClient, connectTrusting } from '../tsh/cluster/cluster-client.ts';
import type { AuthoritiesAnswer } from '../tsh/cluster/web-answers.ts';
import { ping, readAuthorities } from '../tsh/cluster/web-client.ts';
import { type ClientIdentity, isExpired, validUntilMs } from '../tsh/login/client-identity.ts';
import { type HostTrust, hostTrustBy } from '../tsh/login/host-trust.ts';
import { readIdentityFile } from '../tsh/login/identity-file.ts';
import { webAuthorities } from '../tsh/login/trust.ts';
import { type ProxySsh, proxySsh } from '../tsh/ways/proxy-ssh.ts';
import type { WayKind } from '../tsh/ways/way.ts';
import { ClusterTrust } from '../tsh/trust/cluster-trust.ts';
import { announcedSince } from './announced-since.ts';
import { identityFileTrust } from '../tsh/trust/trust-stores.ts';

export interface IdentityConnection {
  readonly auth: AuthClient;
  readonly identity: ClientIdentity;
  readonly close: () => void;
}

interface Asked {
  readonly file: string;
  /** Auth servers or proxies: it is not known yet which. */
  readonly servers: readonly HostPort[];
  /** The web certificate of a proxy is not checked; auth servers and the SSH of proxies always are. */
  readonly insecure: boolean;
  readonly callTimeoutMs?: number | undefined;
}

/** How long it tries an address as an auth server's. */
const directMs = 5_000;

/**
 * An auth server by an identity file: at these addresses, or through the proxy that is found there. Source:
 * reference 4.4, tctl. Close the result.
 * @throws CodedError `access_denied` for a file that has expired; `unavailable` with what was tried, and why
 *   each attempt failed.
 */
export async function connectByIdentity(asked: Asked, io: CliIo): Promise<IdentityConnection> {
  const identity = readIdentityFile(asked.file);
  if (isExpired(identity, io.world.now()))
    throw new CodedError(
      'access_denied',
      `the identity in ${asked.file} expired at ${new Date(validUntilMs(identity)).toISOString()}: have a new one signed`,
    );
  if (identity.tlsCasPem.length === 0 || identity.hostAuthorities.length === 0)
    throw new CodedError('damaged', `${asked.file} does not say which authorities to trust`);
  const failures: string[] = [];
  try {
    return await directly(identity, asked, io);
  } catch (e) {
    // The server that replied is an auth server: no other attempt would lead elsewhere.
    if (!isCoded(e) || isAnswer(e)) throw e;
    failures.push(`as an auth server: ${reasonOf(e, io)}`);
  }
  for (const server of asked.servers)
    try {
      return await throughProxy(identity, server, asked, io);
    } catch (e) {
      if (!isCoded(e) || isAnswer(e)) throw e;
      failures.push(`through a proxy at ${formatHostPort(server)}: ${e.message}`);
    }
  const addresses = asked.servers.map(formatHostPort).join(', ');
  throw new CodedError(
    'unavailable',
    `[CLIENT]  Cannot connect to the auth server: ${failures.join('; ')}.\nIs the auth server running on "${addresses}"?`,
  );
}

const reasonOf = (e: CodedError, io: CliIo): string =>
  tlsFailureOf(e) === undefined
    ? e.message
    : inWords(e, 'a host authority that the identity file names', io.world.now()).message;

/**
 * An auth server of an authority that the file does not name is believed where a key that it names has
 * announced that authority: the cluster was rotated since the file was made.
 */
async function directly(identity: ClientIdentity, asked: Asked, io: CliIo): Promise<IdentityConnection> {
  try {
    return await believing(identity.tlsCasPem, identity, asked, io);
  } catch (e) {
    if (!isCoded(e) || tlsFailureOf(e) !== 'stranger') throw e;
    const announced = await announcedSince(identity, asked.servers.map(announcedAt(io)), io);
    if (announced === undefined) throw e;
    return await believing(announced, identity, asked, io);
  }
}

const announcedAt =
  ({ world }: Pick<CliIo, 'world'>) =>
  (server: HostPort) =>
  async (): Promise<AuthoritiesAnswer> => {
    const { announcement } = await readClaimed(server, { world });
    return { announcement, withdrawn: [], userSigner: '' };
  };

async function believing(
  tlsCasPem: readonly string[],
  identity: ClientIdentity,
  asked: Asked,
  io: CliIo,
): Promise<IdentityConnection> {
  const own = {
    privateKeyPem: privateKeyPem(identity.privateKey),
    tlsCertificatePem: identity.tlsCertificatePem,
    tlsCasPem,
  };
  const common = { servers: asked.servers, identity: own, sink: silentLog, world: io.world };
  const probe = connectAuth({ ...common, callTimeoutMs: directMs });
  try {
    await probe.call(pingCluster, {});
  } finally {
    probe.close();
  }
  const { callTimeoutMs } = asked;
  const auth = connectAuth({ ...common, ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }) });
  return {
    auth,
    identity,
    close: () => {
      auth.close();
    },
  };
}

async function throughProxy(
  identity: ClientIdentity,
  server: HostPort,
  { insecure, callTimeoutMs }: Asked,
  io: CliIo,
): Promise<IdentityConnection> {
  const found = await sshOf(server, insecure, io);
  const given = { store: identityFileTrust(identity), announced: () => readAuthorities(server, io.env) };
  const ways = proxySsh({
    places: { ssh: found.address, web: server },
    remembered: undefined,
    possible: ['port', ...found.webWays],
    env: io.env,
    insecure,
  });
  const cluster = await clusterAt(identity, { ...found, ways }, new ClusterTrust(identity, given, io), io);
  const auth = openAuth(cluster, io, callTimeoutMs);
  return {
    auth,
    identity,
    close: () => {
      auth.close();
      cluster.close();
    },
  };
}

interface FoundSsh {
  readonly address: HostPort;
  /** Why the web side was not asked; undefined when it was. */
  readonly webFailure: string | undefined;
  readonly webWays: readonly WayKind[];
}

/** Where the proxy's SSH is: as its web side reports it; else the address is taken for that of its SSH. */
async function sshOf(address: HostPort, insecure: boolean, io: CliIo): Promise<FoundSsh> {
  try {
    const authorities = insecure ? [] : webAuthorities(address.host, io.env);
    const answer = await ping({ address, authorities, insecure, env: io.env });
    const host = answer.publicAddress?.host ?? address.host;
    const ssh = answer.sshPublicAddress ?? { host, port: answer.sshListenPort ?? 3023 };
    return { address: ssh, webFailure: undefined, webWays: answer.webWays };
  } catch (e) {
    return { address, webFailure: firstLine(explain(e)), webWays: [] };
  }
}

const firstLine = (text: string): string => text.replace(/\s*\n[\s\S]*$/, '');

async function clusterAt(
  identity: ClientIdentity,
  { address, webFailure, ways }: FoundSsh & { readonly ways: ProxySsh },
  trust: ClusterTrust,
  io: CliIo,
): Promise<ClusterClient> {
  const { clusterName: cluster } = identity;
  const route = { identity, trust, proxy: address, proxyUsername: undefined, cluster, ways };
  try {
    return await connectTrusting(route, onlyAuthorities(trust), io);
  } catch (e) {
    if (!isCoded(e) || webFailure === undefined) throw e;
    throw new CodedError(e.code, `${messageOf(e)} (its web side: ${webFailure})`, { cause: e });
  }
}

/** Only a host that an authority in the file vouches for, or one that such an authority announces. */
const onlyAuthorities = (trust: ClusterTrust): HostTrust =>
  hostTrustBy(trust, { isKnown: () => false, decide: () => Promise.resolve(false) });
