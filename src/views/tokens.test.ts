import { describe, expect, it } from 'vitest';
import { hour, plusMs } from '../base/time.ts';
import type { TokenFact } from '../domain/join-token.ts';
import { project } from './testing.ts';
import { createdTokens, joinsOf, tokensView } from './tokens.ts';

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
    expect([joinsOf(state, 'a'), joinsOf(state, 'b')]).toEqual([1, 0]);
  });

  it('count those of a file without listing them', () => {
    // `project` numbers revisions as positions: a stream's first event stands first.
    const state = project(tokensView, [
      ['token-f', used],
      ['token-f', used],
    ]);
    expect(createdTokens(state)).toEqual([]);
    expect(joinsOf(state, 'f')).toBe(2);
  });

  it('are forgotten an hour after they expired, when others are made', () => {
    const much = plusMs(at, 2 * hour + 1);
    const state = project(tokensView, [
      ['token-a', created, at],
      ['token-b', created, plusMs(at, 2 * hour)],
    ]);
    expect(state.size).toBe(2);
    const later = project(tokensView, [
      ['token-a', created, at],
      ['token-b', created, much],
      ['token-a', used, much],
    ]);
    expect(createdTokens(later).map(([hash]) => hash)).toEqual(['b']);
    expect(later.size).toBe(1);
  });
});
