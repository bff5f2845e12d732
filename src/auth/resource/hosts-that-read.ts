import { CodedError } from '../../base/errors.ts';
import { reads } from '../../domain/critical.ts';
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
  { views: { hosts, presence, clock } }: Pick<AuthDeps, 'views'>,
  role: RoleSpec,
  before: RoleSpec | undefined,
): void {
  if (!deniesByFunction(role) || (before !== undefined && deniesByFunction(before))) return;
  const behind = reportingHosts(hosts.state(), presence.state(), clock)
    .filter(({ understands }) => !reads(understands, 'deniedLoginFunctions'))
    .map(({ nodename, role: system, version }) => `${nodename} (${system} ${version})`);
  if (behind.length === 0) return;
  const more = behind.length > named ? ` and ${behind.length - named} more` : '';
  throw new CodedError(
    'bad_request',
    `role "${role.name}" denies logins by email.local or regexp.replace, which ${behind.slice(0, named).join(', ')}${more} ` +
      'cannot read: nobody with the role would be let in there; upgrade first, or deny the logins by name',
  );
}

const deniesByFunction = ({ deny }: RoleSpec): boolean => deny.logins.some(usesFunction);
