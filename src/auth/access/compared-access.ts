import { setImmediate as turn } from 'node:timers/promises';
import { CodedError } from '../../base/errors.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { costOf } from '../../domain/subject-access.ts';
import { allHosts } from '../../views/hosts.ts';
import { byName } from '../../views/sorted-hosts.ts';
import { locksInForce } from '../../views/locks.ts';
import type { KnownAccess } from './known-access.ts';
import { nodeThen } from './known-nodes.ts';
import { type KnownPerson, personNamed } from './known-people.ts';
import { conditionsText } from './reach.ts';

/** One node at two times; undefined where it was not there. */
export interface ComparedNode {
  readonly hostId: string;
  readonly nodename: string;
  readonly before: HostInfo | undefined;
  readonly after: HostInfo | undefined;
  /** Whether anything differs that access may depend on. */
  readonly isChanged: boolean;
}

/** How many are compared between two turns of the event loop. */
const nodesOfTurn = 500;

/**
 * The nodes of either time, by name, then id.
 * @param asked only that one: its id, or the name that it had at either time.
 * @throws CodedError `not_found`
 */
export async function comparedNodes(
  before: KnownAccess,
  after: KnownAccess,
  asked?: string,
): Promise<readonly ComparedNode[]> {
  const [had, has] = [before, after].map(
    (known) => new Map(allHosts(known.hosts, ['Node']).map((one) => [one.hostId, nodeThen(known, one)])),
  );
  const all: ComparedNode[] = [];
  for (const hostId of new Set([...(had?.keys() ?? []), ...(has?.keys() ?? [])])) {
    all.push(comparedNode(hostId, had?.get(hostId), has?.get(hostId)));
    if (all.length % nodesOfTurn === 0) await turn();
  }
  all.sort(byName);
  if (asked === undefined) return all;
  const name = asked.toLowerCase();
  const found = all.filter((one) =>
    [one.hostId, one.before?.nodename, one.after?.nodename].some((called) => called?.toLowerCase() === name),
  );
  if (found.length === 0)
    throw new CodedError('not_found', `node ${JSON.stringify(asked)} was there at neither time`);
  return found;
}

const comparedNode = (
  hostId: string,
  before: HostInfo | undefined,
  after: HostInfo | undefined,
): ComparedNode => ({
  ...{ hostId, before, after },
  nodename: (after ?? before)?.nodename ?? '',
  isChanged: nodeText(before) !== nodeText(after),
});

const nodeText = (node: HostInfo | undefined): string =>
  JSON.stringify(node && [node.nodename, node.otherNames, Object.entries(node.labels).sort()]);

export interface ComparedPerson {
  readonly had: KnownPerson;
  readonly has: KnownPerson;
  /** Whether what this person reaches may differ on a node that is the same. */
  readonly isChanged: boolean;
  /** As `costOf`, of both. */
  readonly cost: number;
}

/** People at two times. */
export class PeopleCompared {
  readonly #before: KnownAccess;
  readonly #after: KnownAccess;
  readonly #haveSameLocks: boolean;
  readonly #texts = new WeakMap<RoleSpec, string>();

  constructor(before: KnownAccess, after: KnownAccess) {
    this.#before = before;
    this.#after = after;
    this.#haveSameLocks = locksText(before) === locksText(after);
  }

  named(username: string): ComparedPerson {
    const [had, has] = [personNamed(this.#before, username), personNamed(this.#after, username)];
    return {
      ...{ had, has },
      isChanged: !this.#haveSameLocks || this.#textOf(had) !== this.#textOf(has),
      cost: costOf(had.access) + costOf(has.access),
    };
  }

  #textOf({ status, traits, roleNames, missing, access }: KnownPerson): string {
    return JSON.stringify([
      ...[status, Object.entries(traits).sort(), roleNames, missing],
      ...access.roles.map(({ spec }) => this.#roleText(spec)),
    ]);
  }

  #roleText(spec: RoleSpec): string {
    const known = this.#texts.get(spec);
    if (known !== undefined) return known;
    const text = conditionsText(spec);
    this.#texts.set(spec, text);
    return text;
  }
}

const locksText = ({ locks, now }: KnownAccess): string =>
  JSON.stringify(locksInForce(locks, now).map(({ id }) => id));
