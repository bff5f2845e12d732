import { CodedError } from '../../../base/errors.ts';
import { may } from '../../../api/guard.ts';
import type { Call } from '../../../api/server-deps.ts';
import { builtInRole } from '../../../domain/role-options.ts';
import { role, type RoleCommand } from '../../../domain/role.ts';
import type { RoleSpec } from '../../../domain/role-spec.ts';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import { documentOfRole, type RoleDocument, roleKind, specOfRole } from '../../../domain/resources/role.ts';
import { roleStream } from '../../../domain/streams.ts';
import type { Position } from '../../../log/event.ts';
import { step, transact } from '../../../log/execute.ts';
import { type RolesState, rolesView } from '../../../views/roles.ts';
import { holdersOf } from '../../../views/users.ts';
import { entriesOf, getIn } from '../../../views/table.ts';
import { isSystemRole } from '../../callers.ts';
import { changesByRole } from '../../access/changed-access.ts';
import { type AuthDeps, causeOf, termsOf } from '../../deps.ts';
import { requireReadByHosts } from '../hosts-that-read.ts';
import { pastKind } from '../past-kind.ts';
import type { Plan, ServedKind, Wish } from '../served-kind.ts';

const specOf = (document: ResourceDocument): RoleSpec => specOfRole(document as RoleDocument);

/** Makes the role where there was none, and else replaces the one that was read. */
async function planOf(deps: AuthDeps, call: Call, wish: Wish): Promise<Plan> {
  const spec = specOf(wish.document);
  const before = wish.before && specOf(wish.before);
  if (isSystemRole(spec.name))
    throw new CodedError('bad_request', `role "${spec.name}" is a role of machines: take another name`);
  requireOthers(call, spec.name);
  requireReadByHosts(deps, spec, before);
  const command: RoleCommand =
    before === undefined
      ? { type: 'create-role', role: spec }
      : { type: 'update-role', role: spec, expected: before };
  return {
    after: documentOfRole(spec),
    notices: await changesByRole(deps.views, spec),
    commit: async () => {
      const { position } = await transact(
        deps.log.state,
        [step(role, roleStream(spec.name), command)],
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

function documentIn({ known }: RolesState, name: string): RoleDocument | undefined {
  const spec = getIn(known, name);
  return spec && documentOfRole(spec);
}

const documentsIn = ({ known }: RolesState): readonly RoleDocument[] =>
  entriesOf(known).map(([, spec]) => documentOfRole(spec));

const past = pastKind<'roles'>({
  view: 'roles',
  projection: rolesView,
  stream: roleStream,
  find: documentIn,
  isUnreadable: ({ unreadable }, name) => getIn(unreadable, name) !== undefined,
  all: documentsIn,
});

/** Roles of the cluster. */
export const servedRoles: ServedKind = {
  kind: roleKind,
  past,
  list: ({ views }) => Promise.resolve(documentsIn(views.roles.state())),
  find: ({ views }, _call, name) => Promise.resolve(documentIn(views.roles.state(), name)),
  create: planOf,
  update: planOf,
  remove: (deps, call, name) => {
    requireDeletable(deps, call, name);
    return Promise.resolve({ commit: () => removeRole(deps, call, name) });
  },
};

/** @throws CodedError `bad_request` for one that somebody has, `access_denied` for one's own. */
function requireDeletable({ views }: Pick<AuthDeps, 'views'>, call: Call, name: string): void {
  if (name === builtInRole)
    throw new CodedError(
      'bad_request',
      `role "${name}" is made again at the next start of an auth server: it cannot be deleted; change it instead`,
    );
  requireOthers(call, name);
  const holders = holdersOf(views.users.state(), name);
  if (holders.length === 0) return;
  throw new CodedError(
    'bad_request',
    `role "${name}" is held by ${holders.slice(0, 5).join(', ')}${holders.length > 5 ? ` and ${holders.length - 5} more` : ''}: ` +
      'nobody could log in with a role that is missing; give them other roles first',
  );
}

/** Whoever gives the role to somebody meanwhile comes before, and is seen; or after, and finds none. */
async function removeRole(deps: AuthDeps, call: Call, name: string): Promise<Position> {
  const { position } = await transact(
    deps.log.state,
    [step(role, roleStream(name), { type: 'delete-role', name })],
    causeOf(deps, call),
    {
      ...termsOf(call, await deps.views.fresh()),
      byWhole: async (asOf) => {
        await deps.views.reached(asOf);
        requireDeletable(deps, call, name);
      },
    },
  );
  if (position === undefined) throw new Error('bug: a deletion made no fact');
  return position;
}
