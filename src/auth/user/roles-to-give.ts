import { CodedError } from '../../base/errors.ts';
import { nearest } from '../../base/nearest.ts';
import { role, type RoleFact, type RoleState } from '../../domain/role.ts';
import { roleStream } from '../../domain/streams.ts';
import { step, type Step } from '../../log/execute.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { lookUpRoles, roleNames, unreadableRoles } from '../../views/roles.ts';
import type { AuthViews } from '../auth-views.ts';
import { isSystemRole } from '../callers.ts';

/** @throws CodedError `bad_request` for roles that a person cannot have. */
export function rolesToGive(views: Pick<AuthViews, 'roles'>, names: readonly string[]): readonly RoleSpec[] {
  const machine = names.find(isSystemRole);
  if (machine !== undefined) throw new CodedError('bad_request', `role "${machine}" is for machines`);
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing')
    throw new CodedError('bad_request', unreadableRoles(found) ?? notFound(views, found.names));
  return found.roles;
}

/** In one append with what gives them: none of these roles is deleted meanwhile. */
export const requiringRoles = (names: readonly string[]): readonly Step<RoleState, RoleFact>[] =>
  [...new Set(names)].map((name) => step(role, roleStream(name), { type: 'require-role', name }));

function notFound({ roles }: Pick<AuthViews, 'roles'>, names: readonly string[]): string {
  const known = roleNames(roles.state());
  const near = [...new Set(names.flatMap((name) => nearest(name, known) ?? []))];
  return `role "${names.join('", "')}" is not found${near.length === 0 ? '' : `; did you mean ${near.join(', ')}?`}`;
}
