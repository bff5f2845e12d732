import { hour, minute } from '../../base/time.ts';
import { turns } from '../../base/turns.ts';
import { type HostInfo, systemRole } from '../../domain/host-info.ts';
import { absentMs } from '../../views/absence.ts';
import { allHosts, findHost } from '../../views/hosts.ts';
import { presenceOf } from '../../views/presence.ts';
import type { AuthDeps } from '../deps.ts';
import { ownCause } from '../own-cause.ts';
import { startUpkeep, type Upkeep } from '../upkeep.ts';
import { seesPresence } from './machine-request.ts';
import { recordRemoval } from './remove-roles.ts';

const everyMs = 5 * minute;
/**
 * A machine that looks absent must do so for this long under the eyes of this auth server: one that has just
 * joined is a member a moment before it is first seen, and one that returns announces itself within this
 * time.
 */
const graceMs = 15 * minute;
/** So many in one look: what they cost is spread, and a mistake can be noticed. */
const mostAtOnce = 200;

/**
 * Removes machines that have not been heard of for `forgetHostsAfterMs`, in each role by itself. Every auth
 * server looks; the log lets one of them record it. The certificate of such a machine stays valid: when it
 * comes back it announces itself, and is a member again.
 */
export function forgetAbsent(
  deps: Pick<
    AuthDeps,
    'log' | 'views' | 'world' | 'sink' | 'hostId' | 'metrics' | 'forgetHostsAfterMs' | 'lag'
  >,
): Upkeep {
  const { log, views, sink, hostId: self, metrics, forgetHostsAfterMs } = deps;
  /** Since when each of them has looked absent, by the clock of this server. */
  let absentSince = new Map<string, number>();

  const isAbsent = ({ hostId, role }: HostInfo): boolean =>
    hostId !== self &&
    absentMs(views.absence.state(), hostId, role) >= forgetHostsAfterMs &&
    presenceOf(views.presence.state(), { hostId, role }, views.clock.monotonic()).status !== 'alive';

  /** Those that have looked absent for long enough. */
  const due = async (): Promise<readonly HostInfo[]> => {
    const now = views.clock.monotonic();
    const [since, found, turn] = [new Map<string, number>(), [] as HostInfo[], turns()];
    for (const one of allHosts(views.hosts.state(), systemRole.options)) {
      await turn();
      if (!isAbsent(one)) continue;
      const key = `${one.hostId}/${one.role}`;
      const from = absentSince.get(key) ?? now;
      since.set(key, from);
      if (now - from >= graceMs) found.push(one);
    }
    absentSince = since;
    return found.slice(0, mostAtOnce);
  };

  const forget = async ({ hostId, role, nodename }: HostInfo): Promise<void> => {
    // It may have come back while others were removed.
    const known = findHost(views.hosts.state(), hostId, role);
    if (known === undefined || !isAbsent(known)) return;
    const hours = Math.floor(absentMs(views.absence.state(), hostId, role) / hour);
    const reason = `not heard of for ${hours} h`;
    const position = await recordRemoval(log.state, { hostId, roles: [role], reason }, ownCause(deps));
    if (position === undefined) return;
    metrics.add('hosts_forgotten_total', 1, { role });
    sink.info('a machine that has not been heard of is no longer a member', {
      ...{ hostId, nodename, role, reason },
    });
    await views.reached(position);
  };

  const look = async (): Promise<void> => {
    if (deps.lag.trouble() !== undefined) return;
    await Promise.all([views.fresh(), seesPresence({ views, log })]);
    for (const one of await due()) await forget(one);
  };

  return startUpkeep({
    act: look,
    everyMs: forgetHostsAfterMs === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : everyMs,
    sink,
    warning: 'machines that have not been heard of could not be removed',
    late: 'machines that are gone for long are still members',
  });
}
