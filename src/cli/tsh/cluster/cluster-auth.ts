import { type AuthClient } from '../../../api/client.ts';
import { connectAuthOver } from '../../../api/auth-connection.ts';
import { authServerName } from '../../../api/tls-dial.ts';
import { pingCluster } from '../../../api/operations/cluster.ts';
import { everyHost, type HostStatus } from '../../../api/listed-hosts.ts';
import { findSession, listSessions } from '../../../api/operations/session.ts';
import { listDevices } from '../../../api/operations/user-own.ts';
import { renewCertificates } from '../../../api/operations/user.ts';
import { leafAuthorities } from '../../../api/operations/trust.ts';
import type { InputOf, OutputOf } from '../../../api/operation.ts';
import { tlsFailureOf } from '../../../api/tls-failures.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log-sink.ts';
import type { CliIo } from '../../cli-io.ts';
import { tlsAuthoritiesOf } from '../login/client-identity.ts';
import type { HostKeys } from '../trust/judge-announcement.ts';
import { unknownAuthorityText } from '../trust/trust-text.ts';
import type { ClusterClient } from './cluster-client.ts';

export type NodeStatus = HostStatus;

/**
 * An auth server, through the proxy, with the user's own certificate. Close it.
 * @param trust of the cluster whose auth server it is; default: the one of the login.
 */
export function openAuth(
  cluster: ClusterClient,
  io: CliIo,
  callTimeoutMs?: number,
  trust = cluster.route.trust,
): AuthClient {
  const { identity } = cluster.route;
  const key = identity.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return connectAuthOver(
    () => cluster.dialAuth(trust.clusterName),
    { key, cert: identity.tlsCertificatePem, ca: trust.tlsCasPem(), serverName: authServerName },
    { world: io.world, sink: silentLog, ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }) },
  );
}

/**
 * The same, for calls that cannot be repeated: its authority has been checked, and learned where the cluster
 * has announced it in the meantime. Close it.
 */
export async function openTrustedAuth(
  cluster: ClusterClient,
  io: CliIo,
  callTimeoutMs?: number,
): Promise<AuthClient> {
  await askAuth(cluster, io, (auth) => auth.call(pingCluster, {}));
  return openAuth(cluster, io, callTimeoutMs);
}

/** An auth server of the requested cluster; its authority has been checked. Close it. */
export async function openInsideAuth(cluster: ClusterClient, io: CliIo): Promise<AuthClient> {
  await askAuth(cluster, io, (auth) => auth.call(pingCluster, {}), cluster.inside);
  return openAuth(cluster, io, undefined, cluster.inside);
}

/**
 * Certificates for another key, by the valid one. @throws CodedError `access_denied` with the reason why not.
 */
export function renewedCertificates(
  cluster: ClusterClient,
  io: CliIo,
  wish: InputOf<typeof renewCertificates>,
): Promise<OutputOf<typeof renewCertificates>> {
  return askAuth(cluster, io, (auth) => auth.call(renewCertificates, wish));
}

/** The code devices of whoever the certificate is of. */
export const ownDevices = (cluster: ClusterClient, io: CliIo): Promise<OutputOf<typeof listDevices>> =>
  askAuth(cluster, io, (auth) => auth.call(listDevices, {}));

/** The sessions that run now, as far as the user may see them. */
export const listRunningSessions = (
  cluster: ClusterClient,
  io: CliIo,
): Promise<OutputOf<typeof listSessions>> => askAuth(cluster, io, (auth) => auth.call(listSessions, {}));

/** On which node a session runs. @throws CodedError `not_found` */
export const findRunningSession = (
  cluster: ClusterClient,
  io: CliIo,
  sid: string,
): Promise<OutputOf<typeof findSession>> =>
  askAuth(cluster, io, (auth) => auth.call(findSession, { sid }), cluster.inside);

/**
 * The nodes that the user may see, by name. When no auth server can be asked, those that the proxy knows of;
 * then standard error says so, with how old the list is.
 */
export async function listNodes(
  cluster: ClusterClient,
  io: CliIo,
  labels: Readonly<Record<string, string>> = {},
): Promise<readonly NodeStatus[]> {
  const hosts = await askAuth(
    cluster,
    io,
    (auth) => everyHost(auth, { role: 'Node', labels }),
    cluster.inside,
  ).catch((e: unknown) => nodesOfProxy(cluster, io, labels, e));
  return [...hosts].sort((a, b) => compare(a.nodename, b.nodename) || compare(a.hostId, b.hostId));
}

/** The host authority of a cluster that the one of the login leads to, as that says. */
export async function leafAuthority(
  cluster: ClusterClient,
  io: CliIo,
  clusterName: string,
): Promise<HostKeys> {
  const signer = await askAuth(cluster, io, (auth) => auth.call(leafAuthorities, { clusterName }));
  return { sshKeys: signer.checkingKeys, tlsCasPem: tlsAuthoritiesOf([{ ...signer, clusterName }]) };
}

/** Asks once more when the server's authority is one that the cluster has announced in the meantime. */
async function askAuth<T>(
  cluster: ClusterClient,
  io: CliIo,
  ask: (auth: AuthClient) => Promise<T>,
  trust = cluster.route.trust,
): Promise<T> {
  const attempt = async (): Promise<T> => {
    const auth = openAuth(cluster, io, undefined, trust);
    try {
      return await ask(auth);
    } finally {
      auth.close();
    }
  };
  try {
    return await attempt();
  } catch (e) {
    if (tlsFailureOf(e) !== 'stranger') throw e;
    const announced = await trust.renew();
    if (announced.renewal.status === 'renewed') return attempt();
    throw new CodedError(
      'access_denied',
      `the auth server of cluster ${trust.clusterName} is not trusted: its certificate is of an unknown authority. ${unknownAuthorityText(announced, trust.known())}`,
      { cause: e },
    );
  }
}

/**
 * @throws the error of the auth server, where that does not mean that it is away, or the proxy cannot help.
 */
async function nodesOfProxy(
  cluster: ClusterClient,
  io: CliIo,
  labels: Readonly<Record<string, string>>,
  failure: unknown,
): Promise<NodeStatus[]> {
  // The proxy knows those of its own cluster.
  if (!isCoded(failure, 'unavailable') || cluster.inside !== cluster.route.trust) throw failure;
  const { hosts, ageMs } = await cluster.knownNodes().catch(() => {
    throw failure;
  });
  const age = ageMs === null ? 'at some time before' : `${Math.ceil(ageMs / 1000)} s ago`;
  io.stderr.write(
    `no auth server can be asked now (${failure.message}): these are the nodes as the proxy knew them ${age}\n`,
  );
  const wanted = Object.entries(labels);
  return hosts.filter((host) =>
    wanted.every(([name, value]) => Object.hasOwn(host.labels, name) && host.labels[name] === value),
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
