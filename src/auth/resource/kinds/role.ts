import { CodedError } from '../../../base/errors.ts';
import { may } from '../../../api/guard.ts';
import type { Call } from '../../../api/server-deps.ts';
import { builtInRole } from '../../../domain/role-options.ts';
import { role, type RoleCommand } from '../../../domain/role.ts';
import type { RoleSpec } from '../../../domain/role-spec.ts';
import { documentOfRole, type RoleDocument, roleKind, specOfRole } from '../../../domain/resources/role.ts';
import { roleStream } from '../../../domain/streams.ts';
import { step, transact } from '../../../log/execute.ts';
import { rolesView } from '../../../views/roles.ts';
import { holdersOf } from '../../../views/users.ts';
import { entriesOf, getIn } from '../../../views/table.ts';
import { isSystemRole } from '../../callers.ts';
import { changesByRole } from '../../access/changed-access.ts';
import { type AuthDeps, causeOf, termsOf } from '../../deps.ts';
import { requireReadByHosts } from '../hosts-that-read.ts';
import { pastKind } from '../past-kind.ts';
import type { Plan, ServedKind, Wish } from '../served-kind.ts';

const specOf = (wish: Wish): RoleSpec => specOfRole(wish.document as RoleDocument);

async function planOf(
  deps: AuthDeps,
  call: Call,
  wish: Wish,
  command: RoleCommand & { role: RoleSpec },
): Promise<Plan> {
  if (isSystemRole(command.role.name))
    throw new CodedError(
      'bad_request',
      `role "${command.role.name}" is a role of machines: take another name`,
    );
  requireOthers(call, command.role.name);
  requireReadByHosts(deps, command.role, wish.before && specOfRole(wish.before as RoleDocument));
  return {
    after: documentOfRole(command.role),
    notices: await changesByRole(deps.views, command.role),
    commit: async () => {
      const { position } = await transact(
        deps.log.state,
        [step(role, roleStream(command.role.name), command)],
        causeOf(deps, call),
        termsOf(call, wish.asOf),
      );
      return position;
    },
  };
}

/**
 * Whoever changes a role of their own gives themselves what they like: that takes the right to give
 * themselves other roles as well. (Everybody has `admin` in a cluster that was set up as with 4.4.)
 */
function requireOthers(call: Call, name: string): void {
  const { caller } = call;
  if (caller.kind !== 'user' || !caller.roles.includes(name) || may(call, 'update', { kind: 'user' })) return;
  throw new CodedError(
    'access_denied',
    `role "${name}" is one of your own: to change it, a rule of your roles has to allow "update" on "user" as well`,
  );
}

const past = pastKind<'roles'>({
  view: 'roles',
  projection: rolesView,
  stream: roleStream,
  find: ({ known }, name) => {
    const spec = getIn(known, name);
    return spec && documentOfRole(spec);
  },
  isUnreadable: ({ unreadable }, name) => getIn(unreadable, name) !== undefined,
  all: ({ known }) => entriesOf(known).map(([, spec]) => documentOfRole(spec)),
});

/** Roles of the cluster. */
export const servedRoles: ServedKind = {
  kind: roleKind,
  past,
  list: ({ views }) =>
    Promise.resolve(entriesOf(views.roles.state().known).map(([, spec]) => documentOfRole(spec))),
  find: ({ views }, _call, name) => {
    const spec = getIn(views.roles.state().known, name);
    return Promise.resolve(spec && documentOfRole(spec));
  },
  create: (deps, call, wish) => planOf(deps, call, wish, { type: 'create-role', role: specOf(wish) }),
  update: (deps, call, wish) => {
    const before = wish.before && specOfRole(wish.before as RoleDocument);
    return planOf(deps, call, wish, {
      type: 'update-role',
      role: specOf(wish),
      ...(before && { expected: before }),
    });
  },
  remove: async (deps, call, name) => {
    if (name === builtInRole)
      throw new CodedError(
        'bad_request',
        `role "${name}" is made again at the next start of an auth server: it cannot be deleted; change it instead`,
      );
    requireOthers(call, name);
    const asOf = await deps.views.fresh();
    const holders = holdersOf(deps.views.users.state(), name);
    if (holders.length > 0)
      throw new CodedError(
        'bad_request',
        `role "${name}" is held by ${holders.slice(0, 5).join(', ')}${holders.length > 5 ? ` and ${holders.length - 5} more` : ''}: ` +
          'nobody could log in with a role that is missing; give them other roles first',
      );
    const { position } = await transact(
      deps.log.state,
      [step(role, roleStream(name), { type: 'delete-role', name })],
      causeOf(deps, call),
      termsOf(call, asOf),
    );
    if (position === undefined) throw new Error('bug: a deletion made no fact');
    return position;
  },
};
