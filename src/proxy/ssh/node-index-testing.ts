import type { HostInfo } from '../../domain/host-info.ts';
import type { Since } from '../../views/hosts.ts';
import { ChangingNodeIndex, type NodeIndex } from './node-index.ts';

export function indexNodes(
  hosts: readonly HostInfo[],
  sinceOf: (hostId: string) => Since | undefined = () => undefined,
): NodeIndex {
  const index = new ChangingNodeIndex();
  for (const host of hosts) index.put(host, sinceOf(host.hostId));
  return index;
}
