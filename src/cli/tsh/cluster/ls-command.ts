import { sharedNames } from '../../shared-names.ts';
import type { Run } from '../../program.ts';
import { type NodeStatus, listNodes } from './cluster-auth.ts';
import { formatNodeNames, formatNodes, formatNodesJson, formatNodesVerbose } from './node-list.ts';
import { openCluster } from './open-cluster.ts';
import { readSettings } from '../settings.ts';
import { parseLabels } from '../../labels.ts';

/** `tsh ls`: the nodes that the user may reach. */
export const lsCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const labels = parseLabels(invocation.arg('labels') ?? '');
  const cluster = await openCluster(settings, io, { cluster: invocation.text('cluster') });
  try {
    const nodes = await listNodes(cluster, io, labels);
    const format = invocation.text('format') ?? 'text';
    io.stdout.write(formatted(nodes, format, invocation.on('verbose')));
    if (format === 'text') for (const line of sharedNames(nodes)) io.stderr.write(`${line}\n`);
    return 0;
  } finally {
    cluster.close();
  }
};

function formatted(nodes: readonly NodeStatus[], format: string, verbose: boolean): string {
  if (format === 'json') return formatNodesJson(nodes);
  if (format === 'names') return formatNodeNames(nodes);
  return `${(verbose ? formatNodesVerbose : formatNodes)(nodes)}\n`;
}
