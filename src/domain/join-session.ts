import { labelPattern } from './label-pattern.ts';
import { type JoinMode, joinModes, type JoinRule, noJoining, type RoleJoining } from './role-joining.ts';

/**
 * The login of a connection that only joins sessions: no certificate names it, and nothing can be run under
 * it. Source: Teleport from release 9 on.
 */
export const joinLogin = '-teleport-internal-join';

/** Somebody who wants to take part in a session, and whose it is. */
export interface Joining {
  readonly roles: readonly { readonly joining?: RoleJoining | undefined }[];
  /** It is their own session. */
  readonly isOwner: boolean;
  /** They may log in as the login of the session on this node, now. */
  readonly mayLogIn: boolean;
  /** Names of the roles that the owner has. */
  readonly ownerRoles: readonly string[];
}

/**
 * In which modes somebody may join: their own sessions, and those under a login that they may use themselves,
 * as observer and as peer, as under 4.4; further ones by `join_sessions` of their roles. Denying wins, over
 * all roles first.
 */
export function joinModesOf({ roles, isOwner, mayLogIn, ownerRoles }: Joining): ReadonlySet<JoinMode> {
  const allowed = new Set<JoinMode>(isOwner || mayLogIn ? ['observer', 'peer'] : []);
  for (const { joining = noJoining } of roles)
    for (const mode of modesIn(joining.allow, ownerRoles)) allowed.add(mode);
  for (const { joining = noJoining } of roles)
    for (const mode of modesIn(joining.deny, ownerRoles)) allowed.delete(mode);
  return allowed;
}

const modesIn = (rules: readonly JoinRule[], ownerRoles: readonly string[]): readonly JoinMode[] =>
  rules
    .filter(({ roles }) => roles.some((one) => ownerRoles.some(labelPattern(one))))
    .flatMap(({ modes }) => modes);

/** Whether somebody with these roles may join any session by a rule: worth a connection for that alone. */
export const mayJoinByRule = (roles: Joining['roles']): boolean =>
  roles.some(({ joining = noJoining }) => joining.allow.length > 0);

/** What a client asks for; a peer where it says nothing, as under 4.4. Undefined: no mode of that name. */
export const readJoinMode = (text: string | undefined): JoinMode | undefined =>
  text === undefined || text === '' ? 'peer' : joinModes.find((mode) => mode === text);
