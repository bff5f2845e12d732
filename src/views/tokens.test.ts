import { describe, expect, it } from 'vitest';
import { hour, minute, plusMs } from '../base/time.ts';
import type { TokenFact } from '../domain/join-token.ts';
import { getIn } from './table.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { project, recordedAt } from './testing.ts';
import { createdTokens, joinsOf, type TokensState, tokensView } from './tokens.ts';

const at = '2026-01-01T12:00:00.000Z';
const created: TokenFact = {
  type: 'token.created',
  data: { roles: ['Node'], expiresAt: plusMs(at, hour), uses: 2 },
};
const used: TokenFact = {
  type: 'token.used',
  data: { hostId: 'h', nodename: 'n', role: 'Node', address: '192.0.2.1:1', key: 'k' },
};

describe('the tokens', () => {
  it('are there with what is left of them, until they are deleted', () => {
    const state = project(tokensView, [
      ['token-a', created],
      ['token-a', used],
      ['token-b', created],
      ['token-b', { type: 'token.deleted', data: {} }],
    ]);
    expect(createdTokens(state)).toMatchObject([['a', { roles: ['Node'], uses: 2, used: 1 }]]);
    expect([
      joinsOf(state, { hash: 'a', tokenId: 'a' }),
      joinsOf(state, { hash: 'b', tokenId: 'b' }),
    ]).toEqual([1, 0]);
  });

  it('count those of a file without listing them', () => {
    // `project` numbers revisions as positions: a stream's first event stands first.
    const state = project(tokensView, [
      ['token-f', used],
      ['token-f', used],
    ]);
    expect(createdTokens(state)).toEqual([]);
    expect(joinsOf(state, { hash: 'f', tokenId: 'f' })).toBe(2);
  });

  const admitted = (tokenId: string, by?: string): Fact => ({
    type: 'host.admitted',
    data: {
      ...{ role: 'Node', nodename: 'n', key: 'k', previousKey: '', tokenId, address: '192.0.2.1:1' },
      ...(by !== undefined && { by }),
    },
  });
  const [hash, other] = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string];
  const idOf = (one: string): string => one.slice(0, 16);
  const joins = (state: TokensState, one: string, tokenId = idOf(one)): number =>
    joinsOf(state, { hash: one, tokenId });

  it('count what the facts of machines report, beside what earlier releases recorded of a token', () => {
    const state = project(tokensView, [
      [`token-${hash}`, { ...created, data: { ...created.data, uses: null } }],
      [`token-${hash}`, used],
      ['host-h', admitted(idOf(hash), 'token')],
      ['host-i', admitted(idOf(hash), 'token')],
      // Those that the token records, and renewals, name it too.
      ['host-j', admitted(idOf(hash))],
      ['host-i', admitted(idOf(hash), 'renewal')],
      // Not of this cluster's tokens, or not any more.
      ['host-k', admitted(idOf(other), 'token')],
      ['host-l', admitted('static-2', 'token')],
    ]);
    expect([joins(state, hash), joins(state, other)]).toEqual([3, 0]);
    expect([joins(state, other, 'static-1'), joins(state, other, 'static-2')]).toEqual([0, 1]);
    expect(createdTokens(state).map(([, { used: counted }]) => counted)).toEqual([1]);
  });

  it('begin to count again when a value is given again', () => {
    const facts: [StreamName, Fact][] = [
      [`token-${hash}`, created],
      ['host-h', admitted(idOf(hash), 'token')],
      [`token-${hash}`, { type: 'token.deleted', data: {} }],
      ['host-i', admitted(idOf(hash), 'token')],
    ];
    expect(joins(project(tokensView, facts), hash)).toBe(0);
    facts.push([`token-${hash}`, created], ['host-j', admitted(idOf(hash), 'token')]);
    expect(joins(project(tokensView, facts), hash)).toBe(1);
  });

  it('keep no count of a token that is forgotten, and those of files for good', () => {
    const begin = project(tokensView, [
      [`token-${hash}`, created],
      ['host-h', admitted(idOf(hash), 'token')],
      ['host-l', admitted('static-2', 'token')],
    ]);
    const state = foldAll(creations(6 * 97 + 66, at), begin);
    expect(state.admitted.size).toBe(state.byHash.size + 1);
    expect([getIn(state.admitted, idOf(hash)), joins(state, other, 'static-2')]).toEqual([undefined, 1]);
  });

  const foldAll = (
    facts: readonly (readonly [hash: string, at: string])[],
    from = tokensView.initial,
  ): TokensState =>
    facts.reduce(
      (state, [hash, moment], i) =>
        tokensView.apply(state, recordedAt(i + 1, `token-${hash}`, created, moment)),
      from,
    );
  /** So many creations, ten minutes after one another: each looks at another part of the table. */
  const creations = (n: number, from: string): [string, string][] =>
    Array.from({ length: n }, (_, i) => [`other${i % 64}`, plusMs(from, i * 10 * minute)]);

  it('are forgotten two days after the last that could live, when others are made', () => {
    expect(getIn(foldAll([['a', at], ...creations(6 * 96, at)]).byHash, 'a')).toBeDefined();
    expect(getIn(foldAll([['a', at], ...creations(6 * 97 + 66, at)]).byHash, 'a')).toBeUndefined();
  });
  it('are not forgotten because a clock was ahead by a year', () => {
    const year = plusMs(at, 365 * 24 * hour);
    const ahead = Array.from({ length: 130 }, (_, i): [string, string] => [`b${i}`, plusMs(year, i)]);
    const state = foldAll([['a', at], ...ahead]);
    expect(createdTokens(state)).toHaveLength(131);
  });
  it('of idle logs do not grow without end either', () => {
    const weekly = Array.from({ length: 2000 }, (_, i): [string, string] => [
      `w${i}`,
      plusMs(at, i * 168 * hour),
    ]);
    expect(createdTokens(foldAll(weekly)).length).toBeLessThan(6 * 97 + 2 * 64);
  });
});
