import { printable } from '../base/printable.ts';

interface Named {
  readonly nodename: string;
  readonly hostId: string;
  readonly namedSince?: string | undefined;
}

/** Lines for names that several hosts have, with the host that had each first; none when there are none. */
export function sharedNames(hosts: readonly Named[]): readonly string[] {
  const byName = Map.groupBy(hosts, ({ nodename }) => nodename.toLowerCase());
  return [...byName].flatMap(([name, claimants]) => {
    if (claimants.length < 2) return [];
    const said = claimants
      .toSorted((a, b) => compared(a.namedSince ?? latest, b.namedSince ?? latest))
      .map(
        ({ hostId, namedSince }) =>
          `${printable(hostId)} since ${printable(namedSince ?? 'an unknown time')}`,
      );
    return [
      `warning: ${claimants.length} nodes are called ${printable(name)}, the first holder of the name first: ${said.join(', ')}`,
    ];
  });
}

const latest = '9999';
const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
