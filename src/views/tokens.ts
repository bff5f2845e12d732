import { hour, type Instant, minute, msBetween } from '../base/time.ts';
import {
  type ActiveToken,
  joinToken,
  tokenFact,
  tokenLimits,
  type TokenState,
} from '../domain/join-token.ts';
import { idInStream } from '../domain/streams.ts';
import type { Position, Recorded } from '../log/event.ts';
import { readFact, typesOf } from './read-fact.ts';
import {
  emptyTable,
  entriesOf,
  findKey,
  getIn,
  removeIn,
  setIn,
  sweepIn,
  type Table,
  tableFrom,
} from './table.ts';
import type { Projection } from './view.ts';

/** `bornMs`: how much time had passed when it was created, see `Passed`. Unknown to the release before. */
type KnownToken = TokenState & { readonly bornMs?: number };

/** By the hash of their secret: tokens that were not deleted, and those of files that were used. They may have expired. */
export interface TokensState {
  readonly byHash: Table<KnownToken>;
  readonly passed: Passed;
}

/**
 * How much time has passed on the log, from fact to fact, no step longer than ten minutes. It is never much more than
 * really passed, however wrong a clock was: only how long a token is remembered rests on it. Whether one has expired is for the
 * reader to decide, by its own clock.
 */
interface Passed {
  readonly ms: number;
  /** Of the last fact; empty before the first that was seen. */
  readonly at: Instant;
}

const types = typesOf(tokenFact);
const longestStepMs = 10 * minute;
/** Twice as long as any token lasts: no token that may admit anybody is forgotten. */
const rememberedMs = 2 * tokenLimits.maxMs + hour;

export const tokensView: Projection<TokensState> = {
  name: 'tokens.1',
  initial: { byHash: emptyTable, passed: { ms: 0, at: '' } },
  apply(tokens, event) {
    const tokenHash = idInStream(event.stream, 'token');
    if (tokenHash === undefined) return tokens;
    const fact = readFact(tokenFact, types, event);
    if (!fact) return tokens;
    const { byHash } = tokens;
    const before = getIn(byHash, tokenHash);
    if (fact.type === 'token.used' && before === undefined && !isOfFile(event)) return tokens;
    const passed = passedAt(tokens.passed, event.cause.at);
    const state = joinToken.evolve(before ?? joinToken.initial, fact);
    if (state.status === 'deleted') return { byHash: removeIn(byHash, tokenHash), passed };
    if (fact.type !== 'token.created') return { byHash: setIn(byHash, tokenHash, state), passed };
    const grown = setIn<KnownToken>(byHash, tokenHash, { ...state, bornMs: passed.ms });
    return { byHash: withoutOld(grown, passed, event.position), passed };
  },
  encode: ({ byHash }) => entriesOf(byHash),
  decode: (stored) => {
    const tokens = stored as [string, KnownToken][];
    const ms = tokens.reduce((most, [, { bornMs = 0 }]) => Math.max(most, bornMs), 0);
    // What the release before folded counts as created now.
    const byHash = tableFrom(
      tokens.map((one) =>
        one[1].bornMs === undefined ? ([one[0], { ...one[1], bornMs: ms }] as const) : one,
      ),
    );
    return { byHash, passed: { ms, at: '' } };
  },
};

const passedAt = ({ ms, at }: Passed, now: Instant): Passed => ({
  ms: at === '' ? ms : ms + Math.min(longestStepMs, Math.max(0, msBetween(at, now))),
  at: now,
});

/** A token of a file begins with its first use; another one that is not here was forgotten. */
const isOfFile = ({ revision }: Recorded): boolean => revision === 1;

/** Looks at a few tokens only: those that nobody asks for any more may wait for their turn. */
const withoutOld = (
  tokens: TokensState['byHash'],
  { ms }: Passed,
  position: Position,
): TokensState['byHash'] =>
  sweepIn(tokens, position, ({ status, bornMs = 0 }) => status !== 'active' || ms - bornMs <= rememberedMs);

/** Tokens that were created and not deleted, with the hash of each. */
export const createdTokens = (
  tokens: TokensState,
): readonly (readonly [hash: string, token: ActiveToken])[] =>
  entriesOf(tokens.byHash).flatMap(([hash, state]) =>
    state.status === 'active' ? [[hash, state] as const] : [],
  );

/** The hash of the token that was created, not deleted, and is meant. */
export const createdToken = (tokens: TokensState, isMeant: (hash: string) => boolean): string | undefined =>
  findKey(tokens.byHash, (hash, { status }) => status === 'active' && isMeant(hash));

/** How many joins a token has admitted. */
export const joinsOf = (tokens: TokensState, tokenHash: string): number =>
  getIn(tokens.byHash, tokenHash)?.used ?? 0;
