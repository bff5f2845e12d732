import type { Person } from '../../domain/access-reason.ts';
import type { Labels } from '../../domain/label-selector.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import { hostStream, roleStream, userStream } from '../../domain/streams.ts';
import { rolesAllowing, subjectAccess } from '../../domain/subject-access.ts';
import type { Recorded, StreamName } from '../../log/event.ts';
import { findHost } from '../../views/hosts.ts';
import { getIn } from '../../views/table.ts';
import { findUser } from '../../views/users.ts';
import { noPast, pastAfter, type PastStates } from '../past/past-states.ts';
import type { DecisiveEvents } from './decisive-events.ts';

/** What a role grants now. */
export interface Granted {
  readonly role: string;
  readonly person: Person;
  readonly login: string;
  readonly hostId: string;
  readonly labels: Labels;
}

/**
 * The last change of the role, of the user and of the node without which the role would not grant this, if
 * all else were as it is now; in the order of the log.
 */
export async function changesThatGrant(
  events: DecisiveEvents,
  { role, person, login, hostId, labels }: Granted,
): Promise<readonly Recorded[]> {
  const spec = person.access.roles.find((one) => one.spec.name === role)?.spec;
  if (spec === undefined) return [];
  const grants = (by: RoleSpec, traits: Traits, on: Labels): boolean => {
    const access = subjectAccess({ roles: [by], traits });
    return rolesAllowing(access, on).some(({ allowed }) => allowed.has(login));
  };
  const found = [
    await lastBegun(events, roleStream(role), ({ roles }) => {
      const then = getIn(roles.known, role);
      return then !== undefined && grants(then, person.traits, labels);
    }),
    await lastBegun(events, userStream(person.username), ({ users }) => {
      const then = findUser(users, person.username)?.state;
      return then?.roles.includes(role) === true && grants(spec, then.traits, labels);
    }),
    await lastBegun(events, hostStream(hostId), ({ hosts }) => {
      const then = findHost(hosts, hostId, 'Node');
      return then !== undefined && grants(spec, person.traits, then.labels);
    }),
  ];
  return found.filter((one) => one !== undefined).sort((a, b) => a.position - b.position);
}

/** The event with which it last began to hold, in one stream. */
async function lastBegun(
  events: DecisiveEvents,
  stream: StreamName,
  holds: (states: PastStates) => boolean,
): Promise<Recorded | undefined> {
  let states = noPast;
  let held = false;
  let begun: Recorded | undefined;
  for (const event of await events.of(stream)) {
    states = pastAfter(states, event);
    const now = holds(states);
    if (now && !held) begun = event;
    held = now;
  }
  return begun;
}
