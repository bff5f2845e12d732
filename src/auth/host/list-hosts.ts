import { CodedError } from '../../base/errors.ts';
import { may } from '../../api/guard.ts';
import { listHosts as row } from '../../api/operations/host.ts';
import type { Call } from '../../api/server-deps.ts';
import type { Subject } from '../../domain/access.ts';
import { turns } from '../../base/turns.ts';
import { hostRecordOf } from '../../domain/host-info.ts';
import { kindOfHost, type ResourceKind } from '../../domain/rule-subjects.ts';
import { listedHosts } from '../../views/listed-hosts.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { rolesOf as lookUpRolesOf } from '../lookups.ts';
import { rulesOf } from '../rules-of.ts';

/** As `listedHosts`. */
export const listHosts = implementing(row, async (deps, call, { role, labels, ...page }) => {
  const { views } = deps;
  await views.fresh();
  const known = { hosts: views.hosts.state(), presence: views.presence.state() };
  const subject = subjectOf(deps, call, kindOfHost[role]);
  const listing = { role, labels, subject, atMs: views.clock.monotonic() };
  const { hosts, next } = await listedHosts(known, listing, page, turns());
  return { hosts: hosts.map(hostRecordOf), ...(next !== undefined && { next }) };
});

/** Of people of another cluster: nodes are all that they are shown. */
function foreignSubject(
  { views }: AuthDeps,
  { username, roles, traits }: Extract<Call['caller'], { kind: 'foreign' }>,
  kind: ResourceKind,
): Subject {
  if (kind !== kindOfHost.Node)
    throw new CodedError('access_denied', `${kind}s are not shown to ${username}, who is of another cluster`);
  return { roles: lookUpRolesOf(views, roles), traits };
}

/** Undefined for who sees all: machines, operators, and people with a rule that says so. */
function subjectOf(deps: AuthDeps, call: Call, kind: ResourceKind): Subject | undefined {
  const { caller } = call;
  if (caller.kind === 'foreign') return foreignSubject(deps, caller, kind);
  if (caller.kind !== 'user' || may(call, row.verb, { kind })) return undefined;
  return rulesOf(deps)(caller);
}
