import type { Person } from '../../domain/access-reason.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { loginsOn } from '../../domain/subject-access.ts';
import type { KnownAccess } from './known-access.ts';
import { locksOnEntering } from './known-nodes.ts';
import type { KnownPerson } from './known-people.ts';

/** Whether anything may be allowed: without one of the roles nothing is, since it might have denied. */
export const hasAll = ({ status, missing }: Pick<Person, 'status' | 'missing'>): boolean =>
  status === 'known' && missing.length === 0;

/**
 * The logins with which a person gets into a node, sorted: what roles allow and no lock keeps out. None where
 * the node is not there.
 */
export function reachOf(
  known: Pick<KnownAccess, 'locks' | 'now'>,
  person: KnownPerson,
  node: HostInfo | undefined,
): readonly string[] {
  if (node === undefined || !hasAll(person)) return [];
  const logins = [...loginsOn(person.access, node.labels).keys()];
  if (known.locks.byTarget.size === 0 || logins.length === 0) return logins;
  if (locksOnEntering(known, { person, node }).length > 0) return [];
  return logins.filter((login) => locksOnEntering(known, { person, login, node }).length === 0);
}

/** Logins before and after something, compared. */
export const loginsChanged = (
  had: readonly string[],
  has: readonly string[],
): { readonly gained: readonly string[]; readonly lost: readonly string[] } => ({
  gained: has.filter((login) => !had.includes(login)),
  lost: had.filter((login) => !has.includes(login)),
});

/** What servers ask of a role, as a text to compare. */
export const conditionsText = ({ allow, deny }: RoleSpec): string =>
  JSON.stringify([allow, deny].map(({ logins, nodeLabels }) => [logins, Object.entries(nodeLabels)]));
