import { explainAccess as row } from '../../api/operations/access.ts';
import { explainAccess as explanationOf } from '../../domain/access-explanation.ts';
import type { Person } from '../../domain/access-reason.ts';
import { type HeldRequest, heldRequests, holdingStatesOf } from '../../views/held-requests.ts';
import { requestsOf } from '../../views/requests.ts';
import { findUser } from '../../views/users.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { accessAt, type KnownAccess } from './known-access.ts';
import { locksOnEntering, nodesNamed } from './known-nodes.ts';
import { type KnownPerson, personNamed, personWith, requireOfHere } from './known-people.ts';

/** An answer explains at most so many; how many more there are is in it. */
const mostNodes = 20;
const mostLogins = 100;

/**
 * @throws CodedError `not_found` for a node that the cluster does not have; `bad_request` for somebody of
 *   another cluster; as `accessAt`
 */
export const explainAccess = implementing(row, async (deps, call, { user, login, node: name, at }) => {
  requireOfHere(user);
  const known = await accessAt(deps, call, at);
  const nodes = nodesNamed(known, name);
  // Requests of an earlier time are not in those states: then the user's own roles alone count.
  const held = at === undefined ? approvedFor(deps, user) : [];
  const person = withRequested(known, personNamed(known, user), held);
  const logins = login === undefined ? loginsNamed(person) : [login];
  return {
    user: {
      ...{ status: person.status, roles: [...person.roleNames], traits: person.traits },
      requests: held.map(({ entry: { id, roles, expiresAt } }) => ({
        ...{ requestId: id, roles: [...roles], expiresAt },
      })),
    },
    nodes: nodes.slice(0, mostNodes).map((node) => ({
      ...{ hostId: node.hostId, nodename: node.nodename, labels: node.labels },
      logins: logins.slice(0, mostLogins).map((one) => {
        const locks = locksOnEntering(known, { person, login: one, node });
        const { reasons, near, changes, ...decided } = explanationOf({
          person,
          login: one,
          labels: node.labels,
          locks,
        });
        return { ...decided, reasons: [...reasons], near: [...near], changes: [...changes] };
      }),
    })),
    leftOut: {
      nodes: Math.max(0, nodes.length - mostNodes),
      logins: Math.max(0, logins.length - mostLogins),
    },
  };
});

/** A person with the roles of their requests: who shows a certificate without them has less. */
function withRequested(
  { roles: known }: Pick<KnownAccess, 'roles'>,
  person: KnownPerson,
  held: readonly HeldRequest[],
): KnownPerson {
  if (held.length === 0) return person;
  const { username, roleNames, traits } = person;
  const roles = [...new Set([...roleNames, ...held.flatMap(({ entry }) => entry.roles)])];
  return personWith(known, { username, roles, traits });
}

/** The approved access requests of a user that count now, for a certificate that names them. */
function approvedFor({ views, world }: AuthDeps, username: string): readonly HeldRequest[] {
  const lifeId = findUser(views.users.state(), username)?.life.id;
  if (lifeId === undefined) return [];
  const now = world.now();
  const accessRequests = requestsOf(views.requests.state(), username, now).map(({ id }) => id);
  return heldRequests(holdingStatesOf(views), { username, lifeId, accessRequests }, now);
}

/** Each login that a role allows or denies the person, sorted; the user's own name where none does. */
function loginsNamed({ username, access }: Person): readonly string[] {
  const all = new Set(access.roles.flatMap(({ allowed, denied }) => [...allowed, ...denied]));
  return all.size === 0 ? [username] : [...all].sort();
}
