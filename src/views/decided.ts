import { host } from '../domain/host.ts';
import { joinToken } from '../domain/join-token.ts';
import { user } from '../domain/user.ts';
import type { Decider } from '../log/decider.ts';
import type { Fact, Position, Recorded, Revision, StreamName } from '../log/event.ts';
import type { FoldedStream } from '../log/fold-cache.ts';
import type { AnyDecider, StartingPoint } from '../log/starting-points.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, sweepIn, type Table, tableFrom } from './table.ts';
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
const deciders: Readonly<Partial<Record<string, FoldingDecider>>> = {
  user: user,
  host: host,
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
  name: 'decided.1',
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

/** Where decisions begin, by what the view has folded; nowhere while it has stopped. */
export const startsIn =
  (view: Pick<View<DecidedState>, 'state' | 'failure'>): StartingPoint =>
  <S>(decider: AnyDecider<S>, stream: StreamName): FoldedStream<S> | undefined => {
    const category = categoryOf(stream);
    if (deciders[category] !== decider || view.failure() !== undefined) return undefined;
    const { kept, tokens } = view.state();
    // What is under the stream was folded by this decider.
    return getIn(category === tokenCategory ? tokens : kept, stream) as FoldedStream<S> | undefined;
  };
