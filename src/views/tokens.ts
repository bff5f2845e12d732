import { hour, plusMs } from '../base/time.ts';
import { type ActiveToken, joinToken, tokenFact, type TokenState } from '../domain/join-token.ts';
import { idInStream } from '../domain/streams.ts';
import type { Recorded } from '../log/event.ts';
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

/** By the hash of their secret: tokens that were not deleted, and those of files that were used. They may have expired. */
export type TokensState = Table<TokenState>;

const types = typesOf(tokenFact);
/** A token that expired longer ago is of no interest to anybody; clocks of auth servers may differ, by less. */
const forgetAfterMs = hour;

export const tokensView: Projection<TokensState> = {
  name: 'tokens.1',
  initial: emptyTable,
  apply(tokens, event) {
    const tokenHash = idInStream(event.stream, 'token');
    if (tokenHash === undefined) return tokens;
    const fact = readFact(tokenFact, types, event);
    if (!fact) return tokens;
    const before = getIn(tokens, tokenHash);
    if (fact.type === 'token.used' && before === undefined && !isOfFile(event)) return tokens;
    const state = joinToken.evolve(before ?? joinToken.initial, fact);
    if (state.status === 'deleted') return removeIn(tokens, tokenHash);
    const kept = fact.type === 'token.created' ? withoutOld(tokens, event) : tokens;
    return setIn(kept, tokenHash, state);
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, TokenState][]),
};

/** A token of a file begins with its first use; another one that is not here was forgotten. */
const isOfFile = ({ revision }: Recorded): boolean => revision === 1;

/** Looks at a few tokens only: those that nobody asks for any more may wait for their turn. */
function withoutOld(tokens: TokensState, { cause, position }: Recorded): TokensState {
  const oldest = plusMs(cause.at, -forgetAfterMs);
  return sweepIn(tokens, position, (state) => state.status !== 'active' || state.expiresAt >= oldest);
}

/** Tokens that were created and not deleted, with the hash of each. */
export const createdTokens = (
  tokens: TokensState,
): readonly (readonly [hash: string, token: ActiveToken])[] =>
  entriesOf(tokens).flatMap(([hash, state]) => (state.status === 'active' ? [[hash, state] as const] : []));

/** The hash of the token that was created, not deleted, and is meant. */
export const createdToken = (tokens: TokensState, isMeant: (hash: string) => boolean): string | undefined =>
  findKey(tokens, (hash, { status }) => status === 'active' && isMeant(hash));

/** How many joins a token has admitted. */
export const joinsOf = (tokens: TokensState, tokenHash: string): number =>
  getIn(tokens, tokenHash)?.used ?? 0;
