import { listHosts as row } from '../../api/operations/host.ts';
import type { Call } from '../../api/server-deps.ts';
import type { Subject } from '../../domain/access.ts';
import { hostRecordOf } from '../../domain/host-info.ts';
import { listedHosts } from '../../views/listed-hosts.ts';
import { findUser } from '../../views/users.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { rolesOf } from '../lookups.ts';

/** As `listedHosts`. */
export const listHosts = implementing(row, async (deps, call, { role, labels }) => {
  const { views } = deps;
  await views.fresh();
  const known = { hosts: views.hosts.state(), presence: views.presence.state() };
  const subject = subjectOf(deps, call);
  const listed = listedHosts(known, { role, labels, subject, atMs: views.clock.monotonic() });
  return { hosts: listed.map(hostRecordOf) };
});

/** Undefined for a machine and for an operator, who see all. */
function subjectOf(deps: AuthDeps, { caller }: Call): Subject | undefined {
  if (caller.kind !== 'user' || caller.administers === true) return undefined;
  const traits = findUser(deps.views.users.state(), caller.username)?.state.traits ?? {};
  return { roles: rolesOf(deps.views, caller.roles), traits };
}
