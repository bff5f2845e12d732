import type { AuthorityRotation, LaggingHost } from '../../../api/operations/authority.ts';
import type { RotationPhase } from '../../../domain/rotation.ts';

/** How far hosts follow the rotations of some authorities together. */
export interface Following {
  readonly phases: readonly RotationPhase[];
  /** Hosts that are alive; a machine with several roles counts once for each. */
  readonly alive: number;
  readonly lacking: number;
  /** The hosts that lack a phase of any of the authorities; not all of them when there are very many. */
  readonly named: readonly LaggingHost[];
}

export function followingOf(rotations: readonly AuthorityRotation[]): Following {
  const named = distinct(rotations.flatMap(({ lagging }) => lagging));
  return {
    phases: [...new Set(rotations.map(({ phase }) => phase))],
    alive: Math.max(0, ...rotations.map(({ alive }) => alive)),
    lacking: Math.max(named.length, ...rotations.map(({ alive, acknowledged }) => alive - acknowledged)),
    named,
  };
}

function distinct(hosts: readonly LaggingHost[]): readonly LaggingHost[] {
  const byKey = new Map<string, LaggingHost>();
  for (const host of hosts) {
    const key = `${host.hostId}/${host.role}`;
    if (!byKey.has(key)) byKey.set(key, host);
  }
  return [...byKey.values()];
}
