import type { z } from 'zod';
import type { listHosts as operation } from '../api/operations.ts';
import type { Call } from '../api/server-deps.ts';
import { canSeeServer, type Subject } from '../domain/access.ts';
import { hostsInRole, nameSince } from '../views/hosts.ts';
import { presenceOf } from '../views/presence.ts';
import { findUser } from '../views/users.ts';
import type { AuthDeps } from './deps.ts';
import { rolesOf } from './lookups.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/** Hosts that are alive, by name. A person sees the nodes on which one of its logins is allowed. */
export async function listHosts(deps: AuthDeps, call: Call, { role, labels }: Input): Promise<Output> {
  await deps.views.fresh();
  const now = deps.views.clock.monotonic();
  const subject = subjectOf(deps, call);
  const members = deps.views.hosts.state();
  const hosts = hostsInRole(members, role).flatMap((host) => {
    const seen = presenceOf(deps.views.presence.state(), host, now);
    if (seen.status !== 'alive') return [];
    if (!hasLabels(host.labels, labels)) return [];
    if (role === 'Node' && subject && !canSeeServer(subject, host.labels)) return [];
    const since = nameSince(members, host.hostId, role);
    return [{ ...host, lastSeenAt: seen.lastSeenAt, namedSince: since?.at, position: since?.position ?? 0 }];
  });
  return { hosts: hosts.sort((a, b) => compared(a.nodename, b.nodename) || a.position - b.position) };
}

const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

type Labels = Readonly<Record<string, string>>;
/** Every label that is asked for, and each of the host's own: none comes from a prototype. */
const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);

/** Undefined for a machine, which sees all. */
function subjectOf(deps: AuthDeps, { caller }: Call): Subject | undefined {
  if (caller.kind !== 'user') return undefined;
  const traits = findUser(deps.views.users.state(), caller.username)?.state.traits ?? {};
  return { roles: rolesOf(deps.views, caller.roles), traits };
}
