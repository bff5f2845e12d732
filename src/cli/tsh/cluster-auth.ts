import { type AuthClient } from '../../api/client.ts';
import { connectAuthOver } from '../../api/auth-connection.ts';
import { authServerName } from '../../api/tls-dial.ts';
import { listHosts } from '../../api/operations.ts';
import type { OutputOf } from '../../api/operation.ts';
import { silentLog } from '../../base/log-sink.ts';
import type { CliIo } from '../cli-io.ts';
import type { ClusterClient } from './cluster-client.ts';

export type NodeStatus = OutputOf<typeof listHosts>['hosts'][number];

/** The auth server of the cluster, through the proxy, with the user's own certificate. Close it. */
export function openAuth(cluster: ClusterClient, io: CliIo): AuthClient {
  const { identity } = cluster.route;
  const key = identity.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return connectAuthOver(
    () => cluster.dialAuth(),
    { key, cert: identity.tlsCertificatePem, ca: identity.tlsCasPem, serverName: authServerName },
    { world: io.world, sink: silentLog },
  );
}

/** The nodes that the user may see, by name. */
export async function listNodes(
  cluster: ClusterClient,
  io: CliIo,
  labels: Readonly<Record<string, string>> = {},
): Promise<readonly NodeStatus[]> {
  const auth = openAuth(cluster, io);
  try {
    const { hosts } = await auth.call(listHosts, { role: 'Node', labels });
    return [...hosts].sort((a, b) => compare(a.nodename, b.nodename) || compare(a.hostId, b.hostId));
  } finally {
    auth.close();
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
