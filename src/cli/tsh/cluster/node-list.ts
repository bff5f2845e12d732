import { printable } from '../../../base/printable.ts';
import { reachabilityOf } from '../../../domain/reachability.ts';
import { addressColumn } from '../../address-column.ts';
import { formatTable } from '../../table.ts';
import type { NodeStatus } from './cluster-auth.ts';

type Listed = Pick<NodeStatus, 'hostId' | 'nodename' | 'address' | 'reachability' | 'labels'>;

const labelsOf = (node: Listed): readonly string[] =>
  Object.entries(node.labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort();

const labelsPerRow = 2;

/** Labels two to a row; the rows after a node's first have blank cells. */
export function formatNodes(nodes: readonly Listed[]): string {
  const rows = nodes.flatMap((node) => {
    const labels = labelsOf(node);
    const chunks = Array.from({ length: Math.max(1, Math.ceil(labels.length / labelsPerRow)) }, (_, i) =>
      labels.slice(i * labelsPerRow, (i + 1) * labelsPerRow).join(', '),
    );
    return chunks.map((chunk, i) =>
      i === 0 ? [node.nodename, addressColumn(node), chunk] : ['', '', chunk],
    );
  });
  return formatTable(['Node Name', 'Address', 'Labels'], rows);
}

/** A row for each node, with its host id. */
export const formatNodesVerbose = (nodes: readonly Listed[]): string =>
  formatTable(
    ['Node Name', 'Node ID', 'Address', 'Labels'],
    nodes.map((n) => [n.nodename, n.hostId, addressColumn(n), labelsOf(n).join(',')]),
  );

export const formatNodeNames = (nodes: readonly Listed[]): string =>
  nodes.map((n) => `${printable(n.nodename)}\n`).join('');

/** `use_tunnel` as in the reference; a kind that the reference does not have, by its name. */
function reachedBy(node: Listed): object {
  const reachability = reachabilityOf(node);
  if (reachability.status === 'direct') return { addr: reachability.address };
  return reachability.status === 'tunnel'
    ? { addr: '', use_tunnel: true }
    : { addr: '', reachability: reachability.kind };
}

/** As resources of the reference. */
export const formatNodesJson = (
  nodes: readonly (Listed & Pick<NodeStatus, 'version' | 'publicAddress'>)[],
): string =>
  `${JSON.stringify(
    nodes.map((n) => ({
      kind: 'node',
      version: 'v2',
      metadata: { name: n.hostId, namespace: 'default', labels: n.labels },
      spec: {
        ...reachedBy(n),
        public_addr: n.publicAddress,
        hostname: n.nodename,
        version: n.version,
      },
    })),
    null,
    2,
  )}\n`;
