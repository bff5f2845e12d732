import type { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import { certifiedAs, listensAt, namesHeldBy } from '../../domain/held-names.ts';
import type { HostInfo, SystemRole } from '../../domain/host-info.ts';
import { canonicalHostPart, isIpAddress, isLoopback } from '../../domain/host-text.ts';
import { isNamedBy } from '../../domain/name-patterns.ts';
import { findHost } from '../../views/hosts.ts';
import { type HostsByName, hostsByName } from '../../views/hosts-by-name.ts';
import { aliveUntil, presenceOf } from '../../views/presence.ts';
import type { AuthDeps } from '../deps.ts';
import { clusterOf } from '../lookups.ts';

type Deps = Pick<AuthDeps, 'views' | 'reservedNames'>;

/** A machine that wants certain names. */
export interface NameClaim {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: SystemRole;
  /** Further names and addresses. */
  readonly others: readonly string[];
  /** The IP address that it comes from. */
  readonly peer: string;
  /** What its token lets its machines be called; empty: anything. */
  readonly patterns: readonly string[];
  /**
   * Names already in its certificate stay its own, as do those that it announced: only new ones are examined.
   * Default: none.
   */
  readonly certified?: readonly string[];
  /**
   * A machine that announces itself already has a certificate, from a token or from the auth server on its
   * own machine.
   */
  readonly when: 'joining' | 'announcing';
}

export interface GrantedNames {
  readonly others: readonly string[];
  /** Addresses that are not this machine's alone: its certificate does not contain them. */
  readonly leftOut: readonly string[];
}

/**
 * The names for which a machine may be certified. A name that belongs to another host, or that the token does
 * not allow, is refused. An address is only left out, because machines list theirs without being asked:
 * loopback belongs to every machine, and an address of another host to that host. Views must be fresh,
 * presence included.
 * @throws CodedError `access_denied` with the name and its owner.
 */
export function grantNames(deps: Deps, claim: NameClaim, refuse: (why: string) => CodedError): GrantedNames {
  const { nodename, others, role, patterns } = claim;
  const { clusterName } = clusterOf(deps.views);
  const holdersOf = holdersFor(deps, claim, clusterName);
  const isOwnId = (name: string): boolean =>
    [claim.hostId, `${claim.hostId}.${clusterName}`].includes(name.toLowerCase());
  const certified = new Set((claim.certified ?? []).map(canonicalHostPart));
  const isNew = (name: string): boolean => !certified.has(canonicalHostPart(name));
  const names = others
    .filter((name) => !isIpAddress(name) && !isOwnId(name) && !isLoopback(name))
    .filter(isNew);
  for (const name of [nodename].filter(isNew).concat(names))
    if (patterns.length > 0 && !isNamedBy(patterns, name))
      throw refuse(
        `the token lets its machines be called ${patterns.join(', ')} only, not ${JSON.stringify(name)}`,
      );
  if (role === 'Node' && isNew(nodename) && isLoopback(nodename))
    throw refuse(
      `${JSON.stringify(nodename)} is every machine's name for itself: set nodename to one of its own`,
    );
  const asked = isNew(nodename) ? certifiedAs(nodename, names, clusterName) : names.map(canonicalHostPart);
  for (const name of asked) {
    const [holder] = holdersOf(name);
    if (holder !== undefined)
      throw refuse(
        `the name ${JSON.stringify(name)} is that of ${holder.said}; set another nodename or public_addr`,
      );
  }
  const mayHave = (name: string): boolean =>
    role !== 'Node' ||
    isOwnId(name) ||
    !(isLoopback(name) || (isIpAddress(name) && isNew(name) && isOfAnother(name, claim, holdersOf)));
  return { others: others.filter(mayHave), leftOut: others.filter((name) => !mayHave(name)) };
}

interface Holder {
  /** Undefined for the cluster itself. */
  readonly host: HostInfo | undefined;
  readonly said: string;
}
/** Who has a name in canonical spelling. */
type HoldersOf = (name: string) => Iterable<Holder>;

/**
 * The address that a machine comes from is its own, unless others have it as a name: a proxy behind the same
 * router, say.
 */
function isOfAnother(ip: string, { peer, patterns }: NameClaim, holdersOf: HoldersOf): boolean {
  const one = canonicalHostPart(ip);
  const isPeer = one === canonicalHostPart(peer);
  if (patterns.length > 0 && !isPeer) return true;
  for (const { host } of holdersOf(one))
    if (!(isPeer && host !== undefined && listensAt(host, one))) return true;
  return false;
}

/**
 * Hosts whose names this claim may not take. Among nodes, those that are alive; for a node that joins, also
 * proxies and auth servers that were seen within a day. Proxies may share names with each other and with the
 * auth server on their machine: people know several by one address.
 */
function holdersFor(deps: Deps, claim: NameClaim, clusterName: string): HoldersOf {
  const named = namedIn(deps, clusterName);
  const roles = rolesAgainst[claim.role];
  const known = function* (name: string): Generator<Holder> {
    for (const host of named(deps.views.hosts.state(), name)) {
      if (!roles.includes(host.role) || host.hostId === claim.hostId) continue;
      const until = heldUntil(deps, host, claim);
      if (until === undefined) continue;
      const said =
        `${JSON.stringify(host.nodename)} [${host.hostId}], role ${host.role}, ${until} ` +
        '(stop it and wait until then, or "tctl nodes rm" it, and the name is free)';
      yield { host, said };
    }
  };
  if (claim.role !== 'Node' || deps.reservedNames.length === 0) return known;
  const own = ownAsServer(deps, claim, clusterName);
  const reserved = new Set(deps.reservedNames.map(canonicalHostPart).filter((name) => !own.has(name)));
  const cluster = {
    host: undefined,
    said: 'the cluster itself: it stands in public_addr of an auth server',
  };
  return function* (name) {
    yield* known(name);
    if (reserved.has(name)) yield cluster;
  };
}

/** Of each auth server in this process: every machine that joins asks who has its names. */
const indexes = new WeakMap<Deps['views'], HostsByName>();
function namedIn({ views }: Deps, clusterName: string): HostsByName {
  // A cluster is never renamed.
  const named = indexes.get(views) ?? hostsByName((host) => namesOf(host, clusterName));
  indexes.set(views, named);
  return named;
}

/** A machine that is also a proxy or an auth server may have that role's names in every role. */
const ownAsServer = ({ views }: Deps, { hostId }: NameClaim, clusterName: string): ReadonlySet<string> =>
  new Set(
    (['Auth', 'Proxy'] as const).flatMap((role) => {
      const host = findHost(views.hosts.state(), hostId, role);
      return host === undefined ? [] : [...namesOf(host, clusterName)];
    }),
  );

const rolesAgainst: Readonly<Record<SystemRole, readonly SystemRole[]>> = {
  Node: ['Proxy', 'Auth', 'Node'],
  Proxy: ['Node'],
  Auth: [],
  Admin: [],
};

/** A host record is never mutated, so its names are kept with it. */
const namesSaid = new WeakMap<HostInfo, ReadonlySet<string>>();
function namesOf(host: HostInfo, clusterName: string): ReadonlySet<string> {
  const known = namesSaid.get(host) ?? namesHeldBy(host, clusterName);
  namesSaid.set(host, known);
  return known;
}

function heldUntil({ views }: Deps, host: HostInfo, { when }: NameClaim): string | undefined {
  const { presence, clock } = views;
  const until: Instant | undefined = aliveUntil(presence.state(), host, clock);
  if (until !== undefined) return `which counts as alive until ${until}`;
  if (host.role === 'Node' || when === 'announcing') return undefined;
  const seen = presenceOf(presence.state(), host, clock.monotonic());
  return seen.status === 'gone'
    ? `which was last seen ${seen.lastSeenAt} and is remembered for a day`
    : undefined;
}
