import { setImmediate as turn } from 'node:timers/promises';
import type { Person } from '../../domain/access-reason.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import { costOf, loginsOn } from '../../domain/subject-access.ts';
import { getIn } from '../../views/table.ts';
import { findUser, holdersOf } from '../../views/users.ts';
import type { AuthViews } from '../auth-views.ts';
import type { KnownAccess } from './known-access.ts';
import { nodesByName, nodeThen } from './known-nodes.ts';
import { personNamed, personWith } from './known-people.ts';
import { conditionsText, hasAll, loginsChanged } from './reach.ts';

/** Microseconds, roughly: in all, and between two turns of the event loop. */
const mostWork = 1_000_000;
const workOfTurn = 5_000;
const mostLines = 10;
const mostNamed = 3;

/** One person before and after a change of a role or of the user. */
interface Changed {
  readonly before: Person;
  readonly after: Person;
}

type Views = Pick<AuthViews, 'users' | 'roles' | 'hosts' | 'presence'>;
type Known = Omit<KnownAccess, 'locks' | 'now'>;

const knownIn = ({ users, roles, hosts, presence }: Views): Known => ({
  users: users.state(),
  roles: roles.state(),
  hosts: hosts.state(),
  presence: presence.state(),
});

/**
 * What it would mean for people to have this role in place of the one of its name. Empty where it says the
 * same of servers.
 */
export async function changesByRole(views: Views, role: RoleSpec): Promise<readonly string[]> {
  const known = knownIn(views);
  const before = getIn(known.roles.known, role.name);
  if (before !== undefined && conditionsText(before) === conditionsText(role)) return [];
  const { users } = known;
  const holders = holdersOf(users, role.name).filter((name) => findUser(users, name) !== undefined);
  const instead = new Map([[role.name, role]]);
  return accessChanges(known, {
    count: holders.length,
    at: (i) => changedBy(known, holders[i] ?? '', instead),
  });
}

const changedBy = (known: Known, name: string, instead: ReadonlyMap<string, RoleSpec>): Changed => ({
  before: personNamed(known, name),
  after: personNamed(known, name, instead),
});

/** What these roles and traits would mean for the user. */
export function changesByUser(
  views: Views,
  user: { readonly username: string; readonly roles: readonly string[]; readonly traits: Traits },
): Promise<readonly string[]> {
  const known = knownIn(views);
  const changed = { before: personNamed(known, user.username), after: personWith(known.roles, user) };
  return accessChanges(known, { count: 1, at: () => changed });
}

/**
 * Who gains and who loses which logins where, in a few lines. Bounded: beyond some work, the last line has
 * how many people were not looked at.
 */
async function accessChanges(
  known: Known,
  people: { readonly count: number; at(i: number): Changed },
): Promise<readonly string[]> {
  const nodes = nodesByName(known);
  const lines: string[] = [];
  let work = 0;
  let looked = 0;
  while (looked < people.count) {
    const changed = people.at(looked);
    const cost = (costOf(changed.before.access) + costOf(changed.after.access)) * nodes.length;
    if (looked > 0 && work + cost > mostWork) break;
    work += cost;
    looked++;
    lines.push(...linesOf(changed.after.username, await differences(known, changed, nodes)));
  }
  const shown = lines.slice(0, mostLines);
  if (lines.length > mostLines)
    shown.push(
      `… and ${lines.length - mostLines} more such lines: "tctl access ls" shows who may enter what`,
    );
  if (looked < people.count)
    shown.push(`${people.count - looked} of ${people.count} people were not looked at: they are too many`);
  if (shown.length === 0) shown.push('nobody gains or loses a login on the nodes that there are now');
  return shown;
}

/** By `gains root, deploy`: the names of the nodes for which that is so. */
type Differences = ReadonlyMap<string, readonly string[]>;

async function differences(
  known: Known,
  { before, after }: Changed,
  nodes: readonly HostInfo[],
): Promise<Differences> {
  const found = new Map<string, string[]>();
  const cost = costOf(before.access) + costOf(after.access);
  let work = 0;
  for (const node of nodes) {
    const { nodename, labels } = nodeThen(known, node);
    if ((work += cost) > workOfTurn) {
      await turn();
      work = 0;
    }
    const { gained, lost } = loginsChanged(loginsOf(before, labels), loginsOf(after, labels));
    for (const [verb, logins] of [
      ['gains', gained],
      ['loses', lost],
    ] as const) {
      if (logins.length === 0) continue;
      const key = `${verb} ${named(logins)}`;
      const alike = found.get(key);
      if (alike) alike.push(nodename);
      else found.set(key, [nodename]);
    }
  }
  return found;
}

const loginsOf = (person: Person, labels: HostInfo['labels']): readonly string[] =>
  hasAll(person) ? [...loginsOn(person.access, labels).keys()] : [];

const linesOf = (username: string, found: Differences): readonly string[] =>
  [...found].map(
    ([what, nodes]) =>
      `${username} ${what} on ${nodes.length === 1 ? '1 node' : `${nodes.length} nodes`}: ${named(nodes)}`,
  );

const named = (all: readonly string[]): string =>
  all.length <= mostNamed
    ? all.join(', ')
    : `${all.slice(0, mostNamed).join(', ')} and ${all.length - mostNamed} more`;
