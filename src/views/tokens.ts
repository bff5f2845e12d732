import { hour, minute } from '../base/time.ts';
import { hostFact } from '../domain/host.ts';
import {
  type ActiveToken,
  isIdOfCreated,
  joinToken,
  type TokenFact,
  tokenFact,
  tokenIdOf,
  tokenLimits,
  type TokenState,
} from '../domain/join-token.ts';
import { idInStream } from '../domain/streams.ts';
import type { Position, Recorded } from '../log/event.ts';
import { entitiesFrom, foldEntity, storedEntities, type StoredEntities, type Withheld } from './entities.ts';
import { nonePassed, type Passed, passedAt } from './passed.ts';
import { readFact, typesOf } from './read-fact.ts';
import {
  emptyTable,
  entriesOf,
  type Entry,
  findKey,
  getIn,
  removeIn,
  setIn,
  sweepIn,
  type Table,
  tableFrom,
} from './table.ts';
import type { Projection } from './view.ts';

/** `bornMs`: how much time had passed when it was created, see `Passed`. */
type KnownToken = TokenState & { readonly bornMs?: number };

/** Joins that the facts of the machines report; `bornMs` as of the token. */
interface Joins {
  readonly joins: number;
  readonly bornMs?: number;
}

/**
 * By the hash of their secret: tokens that were not deleted, and those in files that were used. They may have
 * expired.
 */
export interface TokensState {
  readonly byHash: Table<KnownToken>;
  /** Those that this release cannot read admit nobody. */
  readonly unreadable: Table<Withheld<KnownToken>>;
  /** By the ids of tokens: of those that are known, and of those in files, which have their line for one. */
  readonly admitted: Table<Joins>;
  /**
   * Determines only how long a token is remembered. Whether it has expired is decided by the reader, by its
   * own clock.
   */
  readonly passed: Passed;
}

const types = typesOf(tokenFact);
const hostTypes = typesOf(hostFact);
const longestStepMs = 10 * minute;
/** Twice as long as any token lasts: no token that may admit anybody is forgotten. */
const rememberedMs = 2 * tokenLimits.maxMs + hour;

export const tokensView: Projection<TokensState> = {
  // No `earlier`: releases before left out joins that hosts report, or tokens for clusters.
  name: 'tokens.4',
  initial: { byHash: emptyTable, unreadable: emptyTable, admitted: emptyTable, passed: nonePassed },
  apply(tokens, event) {
    const tokenHash = idInStream(event.stream, 'token');
    if (tokenHash !== undefined) return withToken(tokens, tokenHash, event);
    return event.fact.type === 'host.admitted' ? withJoin(tokens, event) : tokens;
  },
  encode: ({ byHash, unreadable, admitted }) => ({
    ...storedEntities({ known: byHash, unreadable }),
    admitted: entriesOf(admitted),
  }),
  decode: (stored) => {
    const { known, unreadable, admitted } = stored as StoredTokens;
    const ms = known.reduce((most, [, { bornMs = 0 }]) => Math.max(most, bornMs), 0);
    const entities = entitiesFrom({ known, unreadable });
    return {
      ...{ byHash: entities.known, unreadable: entities.unreadable, admitted: tableFrom(admitted) },
      passed: { ms, at: '' },
    };
  },
};

type StoredTokens = StoredEntities<KnownToken> & { readonly admitted: readonly Entry<Joins>[] };

function withToken(tokens: TokensState, tokenHash: string, event: Recorded): TokensState {
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
  const left = (table: Table<KnownToken>, admitted: Table<Joins>): TokensState => ({
    ...{ byHash: table, unreadable: entities.unreadable, admitted, passed },
  });
  const id = tokenIdOf(tokenHash);
  switch (event.fact.type) {
    case 'token.created':
      return left(
        withoutOld(entities.known, passed, event.position),
        withoutOld(setIn(tokens.admitted, id, { joins: 0, bornMs: passed.ms }), passed, event.position),
      );
    case 'token.deleted':
      return left(entities.known, removeIn(tokens.admitted, id));
    default:
      return left(entities.known, tokens.admitted);
  }
}

/** A machine that was admitted by a token which does not record that itself. */
function withJoin(tokens: TokensState, event: Recorded): TokensState {
  const reading = readFact(hostFact, hostTypes, event);
  if (reading.status !== 'read' || reading.fact.type !== 'host.admitted') return tokens;
  const { by, tokenId } = reading.fact.data;
  if (by !== 'token') return tokens;
  const before = getIn(tokens.admitted, tokenId);
  if (before === undefined && isIdOfCreated(tokenId)) return tokens;
  const { joins } = before ?? { joins: 0 };
  return { ...tokens, admitted: setIn(tokens.admitted, tokenId, { ...before, joins: joins + 1 }) };
}

function tokenAfter(before: KnownToken | undefined, fact: TokenFact, { ms }: Passed): KnownToken | undefined {
  const state = joinToken.evolve(before ?? joinToken.initial, fact);
  if (state.status === 'deleted') return undefined;
  return fact.type === 'token.created' ? { ...state, bornMs: ms } : state;
}

/** A token in a file begins with its first use; a created one that is missing here was forgotten. */
const isOfFile = ({ revision }: Recorded): boolean => revision === 1;

/** Examines only a few: those that nobody uses any more can wait for their turn. Of files none are old. */
const withoutOld = <V extends KnownToken | Joins>(
  tokens: Table<V>,
  { ms }: Passed,
  position: Position,
): Table<V> => sweepIn(tokens, position, ({ bornMs }) => bornMs === undefined || ms - bornMs <= rememberedMs);

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
export const joinsOf = (
  { byHash, admitted }: TokensState,
  { hash, tokenId }: { readonly hash: string; readonly tokenId: string },
): number => (getIn(byHash, hash)?.used ?? 0) + (getIn(admitted, tokenId)?.joins ?? 0);
