import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import { checkRoleSpec } from './check-role-spec.ts';
import { isSameRole } from './same-role.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';
import { storedRoleSpec } from './stored-role.ts';
import { writerReads } from './writer-reads.ts';

const factsWith = <S extends z.ZodType<RoleSpec>>(spec: S) =>
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('role.created'), data: z.object({ role: spec }) }),
    z.object({ type: z.literal('role.updated'), data: z.object({ role: spec }) }),
    z.object({ type: z.literal('role.deleted'), data: z.object({ name: z.string() }) }),
  ]);

/** The form in which access is decided. */
export const roleFact = factsWith(storedRoleSpec);
export type RoleFact = z.infer<typeof roleFact>;
/** An update replaces the whole role: a writer that does not know all of it would lose the rest. */
const wholeRoleFact = factsWith(roleSpec);

export type RoleCommand =
  | { readonly type: 'create-role'; readonly role: RoleSpec }
  /** Creates the role when it is missing; an existing one stays as it is. */
  | { readonly type: 'ensure-role'; readonly role: RoleSpec }
  | {
      readonly type: 'update-role';
      readonly role: RoleSpec;
      /** What it replaces; refused with `conflict` when it is another one by now. Default: whatever it is. */
      readonly expected?: RoleSpec;
    }
  | { readonly type: 'delete-role'; readonly name: string }
  /** Decides nothing: in an append with other facts it makes sure that the role is there. */
  | { readonly type: 'require-role'; readonly name: string }
  /** Notes that a role of that name was deleted before: nobody makes it again by themselves. */
  | { readonly type: 'forgo-role'; readonly name: string };

export type RoleState =
  { readonly status: 'absent' } | { readonly status: 'active'; readonly role: RoleSpec };

/** What people who have the role may do. The name of a deleted role can be used again. */
export const role: Decider<RoleState, RoleCommand, RoleFact> = {
  fact: writerReads(wholeRoleFact),
  initial: { status: 'absent' },

  decide(state, command) {
    switch (command.type) {
      case 'create-role':
      case 'ensure-role':
        return create(state, command);
      case 'update-role':
        return update(state, command);
      case 'delete-role':
        if (state.status === 'absent') throw absent(command.name);
        return [{ type: 'role.deleted', data: { name: command.name } }];
      case 'require-role':
        if (state.status === 'absent')
          throw new CodedError('bad_request', `role ${JSON.stringify(command.name)} is not found`);
        return [];
      case 'forgo-role':
        return state.status === 'absent' ? [{ type: 'role.deleted', data: { name: command.name } }] : [];
      default:
        return unreachable(command);
    }
  },

  evolve(_state, fact) {
    switch (fact.type) {
      case 'role.created':
      case 'role.updated':
        return { status: 'active', role: fact.data.role };
      case 'role.deleted':
        return { status: 'absent' };
      default:
        return unreachable(fact);
    }
  },
};

type CommandOf<T extends RoleCommand['type']> = Extract<RoleCommand, { type: T }>;

function create(
  { status }: RoleState,
  { type, role }: CommandOf<'create-role' | 'ensure-role'>,
): readonly RoleFact[] {
  if (status === 'absent') {
    checkRoleSpec(role);
    return [{ type: 'role.created', data: { role } }];
  }
  if (type === 'ensure-role') return [];
  throw new CodedError('already_exists', `role "${role.name}" already exists`);
}

function update(state: RoleState, { role, expected }: CommandOf<'update-role'>): readonly RoleFact[] {
  if (state.status === 'absent') throw absent(role.name);
  if (expected !== undefined && !isSameRole(expected, state.role))
    throw new CodedError('conflict', `role "${role.name}" was changed meanwhile: read it again`);
  checkRoleSpec(role);
  return isSameRole(role, state.role) ? [] : [{ type: 'role.updated', data: { role } }];
}

const absent = (name: string): CodedError => new CodedError('not_found', `role "${name}" is not found`);
