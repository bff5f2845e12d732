import { CodedError } from '../../base/errors.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { lookUpRoles, unreadableRoles } from '../../views/roles.ts';
import type { AuthViews } from '../auth-views.ts';
import { isSystemRole } from '../callers.ts';

/** @throws CodedError `bad_request` for roles that a person cannot have. */
export function rolesToGive(views: Pick<AuthViews, 'roles'>, names: readonly string[]): readonly RoleSpec[] {
  const machine = names.find(isSystemRole);
  if (machine !== undefined) throw new CodedError('bad_request', `role "${machine}" is for machines`);
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing')
    throw new CodedError(
      'bad_request',
      unreadableRoles(found) ?? `role "${found.names.join('", "')}" is not found`,
    );
  return found.roles;
}
