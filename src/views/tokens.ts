import { hour, minute } from '../base/time.ts';
import {
  type ActiveToken,
  joinToken,
  type TokenFact,
  tokenFact,
  tokenLimits,
  type TokenState,
} from '../domain/join-token.ts';
import { idInStream } from '../domain/streams.ts';
import type { Position, Recorded } from '../log/event.ts';
import { entitiesFrom, foldEntity, storedEntities, type StoredEntities, type Withheld } from './entities.ts';
import { nonePassed, type Passed, passedAt } from './passed.ts';
import { readFact, typesOf } from './read-fact.ts';
import { emptyTable, entriesOf, findKey, getIn, sweepIn, type Table } from './table.ts';
import type { Projection } from './view.ts';

/** `bornMs`: how much time had passed when it was created, see `Passed`. */
type KnownToken = TokenState & { readonly bornMs?: number };

/**
 * By the hash of their secret: tokens that were not deleted, and those in files that were used. They may have
 * expired.
 */
export interface TokensState {
  readonly byHash: Table<KnownToken>;
  /** Those that this release cannot read admit nobody. */
  readonly unreadable: Table<Withheld<KnownToken>>;
  /**
   * Determines only how long a token is remembered. Whether it has expired is decided by the reader, by its
   * own clock.
   */
  readonly passed: Passed;
}

const types = typesOf(tokenFact);
const longestStepMs = 10 * minute;
/** Twice as long as any token lasts: no token that may admit anybody is forgotten. */
const rememberedMs = 2 * tokenLimits.maxMs + hour;

export const tokensView: Projection<TokensState> = {
  // No `earlier`: releases before could not read tokens for clusters.
  name: 'tokens.3',
  initial: { byHash: emptyTable, unreadable: emptyTable, passed: nonePassed },
  apply(tokens, event) {
    const tokenHash = idInStream(event.stream, 'token');
    if (tokenHash === undefined) return tokens;
    const reading = readFact(tokenFact, types, event);
    if (reading.status === 'ignored') return tokens;
    const { byHash, unreadable } = tokens;
    const isNew = getIn(byHash, tokenHash) === undefined && getIn(unreadable, tokenHash) === undefined;
    if (event.fact.type === 'token.used' && isNew && !isOfFile(event)) return tokens;
    const passed = passedAt(tokens.passed, event.cause.at, longestStepMs);
    const entities = foldEntity({ known: byHash, unreadable }, tokenHash, reading, {
      evolve: (before: KnownToken | undefined, fact) => tokenAfter(before, fact, passed),
      settles: ({ type }) => type !== 'token.used',
    });
    const known =
      event.fact.type === 'token.created'
        ? withoutOld(entities.known, passed, event.position)
        : entities.known;
    return { byHash: known, unreadable: entities.unreadable, passed };
  },
  encode: ({ byHash, unreadable }) => storedEntities({ known: byHash, unreadable }),
  decode: (stored) => {
    const { known, unreadable } = stored as StoredEntities<KnownToken>;
    const ms = known.reduce((most, [, { bornMs = 0 }]) => Math.max(most, bornMs), 0);
    const entities = entitiesFrom({ known, unreadable });
    return { byHash: entities.known, unreadable: entities.unreadable, passed: { ms, at: '' } };
  },
};

function tokenAfter(before: KnownToken | undefined, fact: TokenFact, { ms }: Passed): KnownToken | undefined {
  const state = joinToken.evolve(before ?? joinToken.initial, fact);
  if (state.status === 'deleted') return undefined;
  return fact.type === 'token.created' ? { ...state, bornMs: ms } : state;
}

/** A token in a file begins with its first use; a created one that is missing here was forgotten. */
const isOfFile = ({ revision }: Recorded): boolean => revision === 1;

/** Examines only a few tokens: those that nobody uses any more can wait for their turn. */
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

/** The hash of the token that was created, not deleted, and matches. */
export const createdToken = (tokens: TokensState, isMeant: (hash: string) => boolean): string | undefined =>
  findKey(tokens.byHash, (hash, { status }) => status === 'active' && isMeant(hash));

/** How many joins a token has admitted. */
export const joinsOf = (tokens: TokensState, tokenHash: string): number =>
  getIn(tokens.byHash, tokenHash)?.used ?? 0;
