import { foreignUsername } from '../domain/foreign-username.ts';
import type { LockSubject } from '../domain/lock.ts';
import { isUnixLogin, isUserName } from '../domain/names.ts';
import { mapRoles } from '../domain/role-map.ts';
import type { Traits } from '../domain/role-spec.ts';
import type { NamedTrust } from './trusted-clusters.ts';

/** What a certificate that another cluster signed contains about its holder. */
export interface PresentedForeigner {
  readonly username: string;
  /** The logins that its cluster allows. */
  readonly principals: readonly string[];
  readonly roles: readonly string[];
  readonly traits: Readonly<Record<string, readonly string[]>>;
  readonly serial: bigint;
}

/** Somebody of another cluster, as this one sees that person. */
export type ForeignPerson =
  | {
      readonly status: 'mapped';
      /** As `foreignUsername`. */
      readonly username: string;
      readonly clusterName: string;
      /** Names of roles here; not looked up yet. */
      readonly roleNames: readonly string[];
      /** Those of the certificate; `logins` are the logins that it allows. */
      readonly traits: Traits;
    }
  /** Gets nothing here; `why` is for the audit. */
  | { readonly status: 'unmapped'; readonly username: string; readonly why: string };

/**
 * Nodes, proxies and auth servers all ask this about a certificate that the user authority of a trusted
 * cluster has signed. Users, lives and access requests of this cluster are not asked: a user of the same name
 * here is somebody else.
 */
export function foreignPerson(
  { clusterName, trust }: NamedTrust,
  presented: PresentedForeigner,
): ForeignPerson {
  const { principals, roles, traits } = presented;
  if (!isUserName(presented.username))
    return {
      status: 'unmapped',
      username: `${clusterName}/`,
      why: `${JSON.stringify(presented.username.slice(0, 128))} is not the name of a user`,
    };
  const username = foreignUsername(clusterName, presented.username);
  const roleNames = mapRoles(trust.roleMap, roles);
  if (roleNames.length === 0)
    return {
      status: 'unmapped',
      username,
      why: `the role map of trusted cluster ${clusterName} gives no role here to ${shown(roles)}`,
    };
  const logins = principals.filter(isUnixLogin);
  const own = Object.fromEntries(Object.entries(traits).map(([name, values]) => [name, [...values]]));
  return { status: 'mapped', username, clusterName, roleNames, traits: { ...own, logins } };
}

/** By what locks of this cluster keep that person out. */
export const lockSubjectOf = (
  person: ForeignPerson,
  { serial }: Pick<PresentedForeigner, 'serial'>,
): LockSubject => ({
  user: person.username,
  roles: person.status === 'mapped' ? person.roleNames : [],
  serial,
});

const mostShown = 10;

const shown = (roles: readonly string[]): string => {
  if (roles.length === 0) return 'a certificate without roles';
  const named = roles.slice(0, mostShown).map((role) => JSON.stringify(role.slice(0, 64)));
  return `${named.join(', ')}${roles.length > mostShown ? ` and ${roles.length - mostShown} more` : ''}`;
};
