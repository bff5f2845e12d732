import type { LaggingHost } from '../../api/operations/authority.ts';
import type { AuthorityType } from '../../domain/authority-facts.ts';
import type { AuthorityState } from '../../domain/authority-state.ts';
import { reads } from '../../domain/critical.ts';
import type { RotationPhase } from '../../domain/rotation.ts';
import { phaseOfMark, type RotationMark, rotationMark } from '../../domain/rotation-mark.ts';
import { type HostWithMarks, reportingHosts } from '../../views/reporting-hosts.ts';
import type { AuthDeps } from '../deps.ts';

export interface Following {
  /** Hosts that are alive, by role. */
  readonly alive: number;
  /** Those among them that have not acknowledged the authority's current phase. */
  readonly lagging: readonly LaggingHost[];
}

/** Every host that is alive. In a large cluster the list is made once for both authorities. */
export const hostsThatFollow = ({ views }: Pick<AuthDeps, 'views'>): readonly HostWithMarks[] =>
  reportingHosts(views.hosts.state(), views.presence.state(), views.clock);

/** Which of these hosts follow an authority's rotation, according to their last reports. */
export function followingOf(
  alive: readonly HostWithMarks[],
  type: AuthorityType,
  state: AuthorityState,
): Following {
  const mark = rotationMark(state);
  const lagging = alive.filter((host) => isLagging(host, type, mark));
  return { alive: alive.length, lagging: lagging.map((host) => described(host, type, phaseOfMark(mark))) };
}

/** @param mark of the authority's current phase. */
export const isLagging = (host: HostWithMarks, type: AuthorityType, mark: RotationMark): boolean =>
  isTooOld(host) || (host.marks[type] ?? '') !== mark;

const isTooOld = ({ understands }: HostWithMarks): boolean => !reads(understands, 'rotation');

function described(
  host: HostWithMarks,
  type: AuthorityType,
  current: RotationPhase | undefined,
): LaggingHost {
  const { hostId, role, nodename, address, version, lastSeenAt } = host;
  const acknowledged = phaseOfMark(host.marks[type] ?? '');
  return {
    ...{ hostId, role, nodename, address, version, lastSeenAt },
    ...(acknowledged !== undefined && { acknowledged }),
    reason: reasonOf(host, acknowledged !== undefined && acknowledged === current),
  };
}

function reasonOf(host: HostWithMarks, hasSamePhase: boolean): string {
  if (isTooOld(host)) return 'its release knows of no rotation: upgrade it';
  if (host.trouble !== undefined) return host.trouble;
  return hasSamePhase ? 'what it reported is of an earlier rotation' : '';
}
