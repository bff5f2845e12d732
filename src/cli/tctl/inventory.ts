import { everyHost } from '../../api/listed-hosts.ts';
import type { AuthClient } from '../../api/client.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatTable } from '../table.ts';
import { wholeSeconds } from '../whole-seconds.ts';
import { withAuth } from './connect.ts';
import { type InventoryHost, inventoryOf, roles, statusText } from './inventory-count.ts';
import { plainYaml } from './resources/print-documents.ts';

/** `tctl inventory status` */
export async function inventoryStatus(invocation: Invocation, io: CliIo): Promise<number> {
  const inventory = inventoryOf(await withAuth(invocation, io, aliveHosts));
  print(invocation, io, inventory, () => statusText(inventory));
  return 0;
}

/** `tctl inventory ls` */
export async function listInventory(invocation: Invocation, io: CliIo): Promise<number> {
  const machines = [...Map.groupBy(await withAuth(invocation, io, aliveHosts), ({ hostId }) => hostId)]
    .map(([hostId, services]) => ({
      hostId,
      nodename: services[0]?.nodename ?? '',
      services: services.map(({ role, version, understands = 0, lastSeenAt }) => ({
        ...{ role, version, understands, lastSeenAt },
      })),
    }))
    .sort((a, b) => compared(a.nodename, b.nodename) || compared(a.hostId, b.hostId));
  const rows = machines.flatMap(({ hostId, nodename, services }) =>
    services.map(({ role, version, understands, lastSeenAt }) => [
      ...[hostId, nodename, role, version, String(understands)],
      wholeSeconds(lastSeenAt),
    ]),
  );
  print(invocation, io, machines, () =>
    formatTable(['Server ID', 'Hostname', 'Service', 'Version', 'Facts', 'Last seen'], rows),
  );
  return 0;
}

/** In each role by itself: one machine may run different releases meanwhile. */
async function aliveHosts(auth: AuthClient): Promise<readonly InventoryHost[]> {
  const lists = await Promise.all(roles.map((role) => everyHost(auth, { role })));
  return lists.flat();
}

function print(invocation: Invocation, io: CliIo, value: unknown, asText: () => string): void {
  const format = invocation.text('format');
  if (format === 'json') io.stdout.write(`${JSON.stringify(value, undefined, 4)}\n`);
  else io.stdout.write(format === 'yaml' ? plainYaml(value) : asText());
}

const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
