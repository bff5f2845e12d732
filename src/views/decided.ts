import { host, type HostFact, type HostState, type StoredHost } from '../domain/host.ts';
import { systemRole } from '../domain/host-info.ts';
import { joinToken } from '../domain/join-token.ts';
import { idInStream } from '../domain/streams.ts';
import { user } from '../domain/user.ts';
import type { Decider } from '../log/decider.ts';
import type { Fact, Position, Recorded, Revision, StreamName } from '../log/event.ts';
import type { FoldedStream } from '../log/fold-cache.ts';
import type { AnyDecider, StartingPoint } from '../log/starting-points.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, sweepIn, type Table, tableFrom } from './table.ts';
import type { HostsState } from './hosts.ts';
import type { Projection, View } from './view.ts';

/** The state of one stream, as its decider folds it. */
interface Decided extends FoldedStream<unknown> {
  /** Of its last event. */
  readonly touched: Position;
}

/**
 * By stream, what decisions about it begin with: of users and hosts, who have a past that only grows, and of
 * tokens, which are forgotten when nobody has used them for long. A stream that is missing here is read from
 * its beginning.
 */
export interface DecidedState {
  readonly kept: Table<Decided>;
  readonly tokens: Table<Decided>;
}

type FoldingDecider = Pick<Decider<unknown, never, Fact>, 'fact' | 'initial' | 'evolve'>;

/**
 * Of a host: the view of hosts has what it announced, which is most of it, and the same except for what
 * cannot be shown (`leftOut`).
 */
interface DecidedHost {
  readonly roles: readonly string[];
  readonly admitted: HostState['admitted'];
}
const announcedElsewhere = {} as StoredHost;
const hostDecider: Pick<Decider<DecidedHost, never, HostFact>, 'fact' | 'initial' | 'evolve'> = {
  fact: host.fact,
  initial: { roles: [], admitted: {} },
  evolve: ({ roles: before, admitted: known }, fact) => {
    const roles = Object.fromEntries(before.map((role) => [role, announcedElsewhere]));
    const { roles: after, admitted } = host.evolve({ roles, admitted: known }, fact);
    return { roles: Object.keys(after), admitted };
  },
};

const deciders: Readonly<Partial<Record<string, FoldingDecider>>> = {
  user,
  host: hostDecider,
  token: joinToken,
};
const tokenCategory = 'token';
const categoryOf = (stream: StreamName): string => stream.slice(0, stream.indexOf('-'));

/** How many events later a token that nobody has used since is forgotten here. */
const rememberedEvents = 50_000;

/**
 * Raise the name when one of the deciders has another state, or reads facts that it did not before
 * (`decided.test.ts` has both): where a release cannot read a fact it must not begin after it.
 */
export const decidedView: Projection<DecidedState> = {
  name: 'decided.2',
  initial: { kept: emptyTable, tokens: emptyTable },
  apply(decided, event) {
    const category = categoryOf(event.stream);
    const decider = deciders[category];
    if (decider === undefined) return decided;
    if (category !== tokenCategory) {
      const kept = withEvent(decided.kept, decider, event);
      return kept === decided.kept ? decided : { ...decided, kept };
    }
    const isRemembered = ({ touched }: Decided): boolean => event.position - touched <= rememberedEvents;
    const tokens = sweepIn(withEvent(decided.tokens, decider, event), event.position, isRemembered);
    return tokens === decided.tokens ? decided : { ...decided, tokens };
  },
  encode: ({ kept, tokens }) => ({ kept: rowsOf(kept), tokens: rowsOf(tokens) }),
  decode: (stored) => {
    const { kept, tokens } = stored as Record<'kept' | 'tokens', readonly Row[]>;
    return { kept: tableOf(kept), tokens: tableOf(tokens) };
  },
};

/** A stream of which a fact cannot be read is forgotten: who decides about it has to look, and refuses. */
function withEvent(table: Table<Decided>, decider: FoldingDecider, event: Recorded): Table<Decided> {
  const { stream, revision, position } = event;
  const before = getIn(table, stream) ?? { state: decider.initial, revision: 0 };
  if (revision !== before.revision + 1) return removeIn(table, stream);
  let fact: Fact;
  try {
    fact = decider.fact.parse(event.fact);
  } catch {
    return removeIn(table, stream);
  }
  return setIn(table, stream, { state: decider.evolve(before.state, fact), revision, touched: position });
}

type Row = readonly [stream: string, revision: Revision, touched: Position, state: unknown];

const rowsOf = (table: Table<Decided>): readonly Row[] =>
  entriesOf(table).map(([stream, { revision, touched, state }]) => [stream, revision, touched, state]);

const tableOf = (rows: readonly Row[]): Table<Decided> =>
  tableFrom(rows.map(([stream, revision, touched, state]) => [stream, { revision, touched, state }]));

type Folded<S> = Pick<View<S>, 'state' | 'position' | 'failure'>;
interface Sources {
  readonly decided: Folded<DecidedState>;
  readonly hosts: Folded<HostsState>;
}

/** Where decisions begin, by what these views have folded; nowhere while one of them has stopped. */
export function startsIn(views: Sources): StartingPoint {
  const { decided, hosts } = views;
  const find = (decider: unknown, stream: StreamName): FoldedStream<unknown> | undefined => {
    const { kept, tokens } = decided.state();
    if (decider === joinToken) return getIn(tokens, stream);
    const found = getIn(kept, stream);
    return found && decider === host ? startOfHost(found, stream, views) : found;
  };
  const known: readonly unknown[] = [user, host, joinToken];
  return <S>(decider: AnyDecider<S>, stream: StreamName): FoldedStream<S> | undefined => {
    if (!known.includes(decider) || (decided.failure() ?? hosts.failure()) !== undefined) return undefined;
    // What is under the stream was folded by this decider.
    return find(decider, stream) as FoldedStream<S> | undefined;
  };
}

/**
 * What the view of hosts knows may be newer than the revision, never older: what a host announced then is
 * replaced by what follows, as each of these facts has all of it.
 */
function startOfHost(
  { state, revision }: Decided,
  stream: StreamName,
  { decided, hosts }: Sources,
): FoldedStream<HostState> | undefined {
  if (hosts.position() < decided.position()) return undefined;
  const { roles: names, admitted } = state as DecidedHost;
  const member = getIn(hosts.state().known, idInStream(stream, 'host') ?? '');
  const roles: Record<string, StoredHost> = {};
  for (const name of names) {
    const role = systemRole.safeParse(name).data;
    const said = role && member?.roles[role];
    if (said === undefined || member?.leftOut[said.role] !== undefined) return undefined;
    roles[name] = said;
  }
  return { state: { roles, admitted }, revision };
}
