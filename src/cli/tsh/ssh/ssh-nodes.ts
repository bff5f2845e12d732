import { messageOf } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import { ExitStatus } from '../../errors.ts';
import { sharedNames } from '../../shared-names.ts';
import type { NodeStatus } from '../cluster/cluster-auth.ts';
import type { ClusterClient } from '../cluster/cluster-client.ts';

/** The nodes with these labels. The API client is loaded only for this. */
export async function selectNodes(
  cluster: ClusterClient,
  labels: Readonly<Record<string, string>>,
  io: CliIo,
): Promise<readonly NodeStatus[]> {
  const { listNodes } = await import('../cluster/cluster-auth.ts');
  return listNodes(cluster, io, labels);
}

/**
 * For a name that several nodes have: shows them, so that one can be chosen by its id. Other errors are
 * passed on.
 */
export async function explainAmbiguous(
  e: unknown,
  cluster: ClusterClient,
  host: string,
  io: CliIo,
): Promise<unknown> {
  if (!messageOf(e).includes('err-node-is-ambiguous')) return e;
  const nodes = (await selectNodes(cluster, {}, io)).filter(
    (n) => n.nodename.toLowerCase() === host.toLowerCase(),
  );
  const { formatNodesVerbose } = await import('../cluster/node-list.ts');
  io.stderr.write('error: ambiguous host could match multiple nodes\n\n');
  io.stderr.write(`${formatNodesVerbose(nodes)}\n`);
  for (const line of sharedNames(nodes)) io.stderr.write(`${line}\n`);
  io.stderr.write('Hint: try addressing the node by unique id (ex: tsh ssh user@node-id)\n');
  io.stderr.write("Hint: use 'tsh ls -v' to list all nodes with their unique ids\n\n");
  return new ExitStatus(1);
}
