import type { Call } from '../../../api/server-deps.ts';
import {
  type DescribedUser,
  documentOfUser,
  type KnownUser,
  type UserDocument,
  userKind,
  userOfDocument,
} from '../../../domain/resources/user.ts';
import { userStream } from '../../../domain/streams.ts';
import { user } from '../../../domain/user.ts';
import type { UserChange } from '../../../domain/user-change.ts';
import { lockOf } from '../../../domain/user-state.ts';
import { step, transact } from '../../../log/execute.ts';
import { changesByUser } from '../../access/changed-access.ts';
import { entriesOf, getIn } from '../../../views/table.ts';
import { type UserEntry, usersView } from '../../../views/users.ts';
import type { Instant } from '../../../base/time.ts';
import { type AuthDeps, causeOf, termsOf } from '../../deps.ts';
import { checkFitsCertificate } from '../../user/issue-certificates.ts';
import { allLookApart } from '../../user/attempts-apart.ts';
import { deleteUser } from '../../user/delete-user.ts';
import { listUsers } from '../../user/list-users.ts';
import { requiringRoles, rolesToGive } from '../../user/roles-to-give.ts';
import { pastKind } from '../past-kind.ts';
import { type Plan, removal, type ServedKind, type Wish } from '../served-kind.ts';

type Listed = Awaited<ReturnType<typeof listUsers>>['users'][number];

const known = ({ lock, ...described }: DescribedUser & Pick<Listed, 'createdAt' | 'lock'>): KnownUser => ({
  ...described,
  ...(lock.status === 'locked' && { lock: { until: lock.until, reason: lock.reason } }),
});

async function all(deps: AuthDeps, call: Call): Promise<UserDocument[]> {
  const { users } = await listUsers(deps, call, {});
  return users.map((one) => documentOfUser(known(one)));
}

/** Makes the user where there was none, and else changes the one that was read. */
async function planOf(deps: AuthDeps, call: Call, wish: Wish): Promise<Plan> {
  const { username, roles, traits } = userOfDocument(wish.document as UserDocument);
  checkFitsCertificate(username, { roles: rolesToGive(deps.views, roles), traits });
  const before = wish.before as UserDocument | undefined;
  const command: UserChange =
    before === undefined
      ? { type: 'create-user', username, roles, traits, attemptsApart: allLookApart(deps) }
      : { type: 'change-user-access', username, roles, traits, expected: userOfDocument(before) };
  return {
    after: documentOfUser({
      ...{ username, roles, traits },
      createdAt: before?.spec.created_by?.time ?? deps.world.now(),
    }),
    notices: await changesByUser(deps.views, { username, roles, traits }),
    commit: async () => {
      const { position } = await transact(
        deps.log.state,
        [step(user, userStream(username), command), ...requiringRoles(roles)],
        causeOf(deps, call),
        termsOf(call, wish.asOf),
      );
      return position;
    },
  };
}

/** Whether failed logins had locked the user is decided by the moments on the log alone. */
function documentThen({ state, createdAt }: UserEntry, at: Instant | undefined): UserDocument {
  const { username, roles, traits } = state;
  const entry = { username, roles, traits, createdAt };
  const document = documentOfUser(
    at === undefined ? entry : known({ ...entry, lock: lockOf(state, { now: at }) }),
  );
  return at === undefined ? { ...document, spec: { ...document.spec, status: undefined } } : document;
}

const past = pastKind<'users'>({
  view: 'users',
  projection: usersView,
  stream: userStream,
  find: (users, name, at) => {
    const entry = getIn(users.known, name);
    return entry && documentThen(entry, at);
  },
  isUnreadable: ({ unreadable }, name) => getIn(unreadable, name) !== undefined,
  all: (users, at) => entriesOf(users.known).map(([, entry]) => documentThen(entry, at)),
});

/** Users: what roles and traits they have. One that a file makes has no password until `tctl users reset`. */
export const servedUsers: ServedKind = {
  kind: userKind,
  past,
  list: all,
  create: planOf,
  update: planOf,
  remove: removal((deps, call, name) => deleteUser(deps, call, { username: name })),
};
