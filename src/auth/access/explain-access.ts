import { explainAccess as row } from '../../api/operations/access.ts';
import { explainAccess as explanationOf } from '../../domain/access-explanation.ts';
import type { Person } from '../../domain/access-reason.ts';
import { implementing } from '../implementing.ts';
import { accessAt } from './known-access.ts';
import { locksOnEntering, nodesNamed } from './known-nodes.ts';
import { personNamed } from './known-people.ts';

/** An answer explains at most so many; how many more there are is in it. */
const mostNodes = 20;
const mostLogins = 100;

/** @throws CodedError `not_found` for a node that the cluster does not have; as `accessAt` */
export const explainAccess = implementing(row, async (deps, call, { user, login, node: name, at }) => {
  const known = await accessAt(deps, call, at);
  const nodes = nodesNamed(known, name);
  const person = personNamed(known, user);
  const logins = login === undefined ? loginsNamed(person) : [login];
  return {
    user: { status: person.status, roles: [...person.roleNames], traits: person.traits },
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

/** Each login that a role allows or denies the person, sorted; the user's own name where none does. */
function loginsNamed({ username, access }: Person): readonly string[] {
  const all = new Set(access.roles.flatMap(({ allowed, denied }) => [...allowed, ...denied]));
  return all.size === 0 ? [username] : [...all].sort();
}
