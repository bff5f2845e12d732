import { CodedError } from '../../base/errors.ts';
import { type levels, reads } from '../../domain/critical.ts';
import { usesFunction } from '../../domain/login-template.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { reportingHosts } from '../../views/reporting-hosts.ts';
import type { AuthDeps } from '../deps.ts';

/** How many hosts a refusal names. */
const named = 5;

/**
 * A host whose release cannot read what a role denies admits nobody who has the role: it is not written while
 * such a host is alive. What it already had is no reason, so that it can still be changed.
 * @throws CodedError `bad_request` that names the hosts.
 */
export function requireReadByHosts(
  deps: Pick<AuthDeps, 'views'>,
  role: RoleSpec,
  before: RoleSpec | undefined,
): void {
  if (!deniesByFunction(role) || (before !== undefined && deniesByFunction(before))) return;
  const behind = hostsBehind(deps, 'deniedLoginFunctions');
  if (behind === undefined) return;
  throw new CodedError(
    'bad_request',
    `role "${role.name}" denies logins by email.local or regexp.replace, which ${behind} ` +
      'cannot read: nobody with the role would be let in there; upgrade first, or deny the logins by name',
  );
}

/** The first few live hosts whose release does not read a kind of fact, in words; undefined: all read it. */
export function hostsBehind(
  { views: { hosts, presence, clock } }: Pick<AuthDeps, 'views'>,
  kind: keyof typeof levels,
): string | undefined {
  const behind = reportingHosts(hosts.state(), presence.state(), clock)
    .filter(({ understands }) => !reads(understands, kind))
    .map(({ nodename, role: system, version }) => `${nodename} (${system} ${version})`);
  if (behind.length === 0) return undefined;
  const more = behind.length > named ? ` and ${behind.length - named} more` : '';
  return `${behind.slice(0, named).join(', ')}${more}`;
}

const deniesByFunction = ({ deny }: RoleSpec): boolean => deny.logins.some(usesFunction);
