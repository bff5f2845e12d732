import type { HostStatus } from '../../api/listed-hosts.ts';
import { printable } from '../../base/printable.ts';
import { formatTable } from '../table.ts';

export type InventoryHost = HostStatus;

/** Those that are listed. */
export const roles = ['Auth', 'Proxy', 'Node'] as const;
type Role = (typeof roles)[number];

export interface Inventory {
  /** Machines that are alive. One that has several roles counts once. */
  readonly machines: number;
  /** The newest version first. */
  readonly versions: readonly {
    readonly version: string;
    readonly machines: number;
    readonly roles: Readonly<Record<Role, number>>;
  }[];
  readonly facts: {
    /** The most that one of them reads. */
    readonly level: number;
    /** Those that read less, the fewest first. */
    readonly behind: readonly {
      readonly hostId: string;
      readonly nodename: string;
      readonly role: string;
      readonly version: string;
      readonly level: number;
    }[];
  };
}

export function inventoryOf(hosts: readonly InventoryHost[]): Inventory {
  const level = hosts.reduce((most, { understands = 0 }) => Math.max(most, understands), 0);
  return {
    machines: machinesIn(hosts),
    versions: [...Map.groupBy(hosts, ({ version }) => version)]
      .sort(([a], [b]) => b.localeCompare(a, 'en', { numeric: true }))
      .map(([version, some]) => ({ version, machines: machinesIn(some), roles: countsOf(some) })),
    facts: {
      level,
      behind: hosts
        .filter(({ understands = 0 }) => understands < level)
        .map(({ hostId, nodename, role, version, understands = 0 }) => ({
          ...{ hostId, nodename, role, version, level: understands },
        }))
        .sort((a, b) => a.level - b.level || (a.nodename < b.nodename ? -1 : 1)),
    },
  };
}

const machinesIn = (hosts: readonly InventoryHost[]): number =>
  new Set(hosts.map(({ hostId }) => hostId)).size;

const countsOf = (hosts: readonly InventoryHost[]): Readonly<Record<Role, number>> => {
  const count = (wanted: Role): number => hosts.filter(({ role }) => role === wanted).length;
  return { Auth: count('Auth'), Proxy: count('Proxy'), Node: count('Node') };
};

/** How many of those that are behind are named. */
const named = 10;

export function statusText({ machines, versions, facts: { level, behind } }: Inventory): string {
  const rows = versions.map(({ version, machines: some, roles: counts }) => [
    ...[version, String(some)],
    ...roles.map((role) => String(counts[role])),
  ]);
  const table = formatTable(['Version', 'Machines', ...roles], rows);
  const total = `${machines === 1 ? '1 machine is' : `${machines} machines are`} alive\n`;
  if (behind.length === 0) return `${table}\n${total}Facts of level ${level} are read by all of them\n`;
  const lines = behind
    .slice(0, named)
    .map((one) => `  ${printable(one.nodename)} (${one.role} ${printable(one.version)}): level ${one.level}`);
  const more = behind.length > named ? [`  and ${behind.length - named} more`] : [];
  return `${table}\n${total}Facts of level ${level} are not read by:\n${[...lines, ...more].join('\n')}\n`;
}
