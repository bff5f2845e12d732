import { timingSafeEqual } from 'node:crypto';
import type { LogSink } from '../../base/log-sink.ts';
import type { JoinRole } from '../../domain/join-token.ts';
import { tokenHash } from '../../pki/token.ts';

/** A token in the file of an auth server. */
export interface StaticToken {
  readonly roles: readonly JoinRole[];
  /** The secret. */
  readonly token: string;
}

/** Without the secret, which is forgotten. */
export interface KnownStaticToken {
  readonly roles: readonly JoinRole[];
  readonly hash: string;
  /**
   * Its id where people read: its line in the file. A part of its hash would let a reader of a log search for
   * a short secret without asking anybody.
   */
  readonly tokenId: string;
}

/** A guesser has some 20 attempts a second from each address: a shorter secret can be found. */
export const shortestSafeToken = 16;

/** Reads the tokens in the file. Two lines with the same secret are one token with the roles of both. */
export function readStaticTokens(tokens: readonly StaticToken[], sink: LogSink): readonly KnownStaticToken[] {
  const byHash = new Map<string, KnownStaticToken>();
  for (const [i, { roles, token }] of tokens.entries()) {
    const hash = tokenHash(token);
    const tokenId = byHash.get(hash)?.tokenId ?? `static-${i + 1}`;
    if (token.length < shortestSafeToken)
      sink.warn(`a static token (auth_service.tokens) is so short that it can be guessed: ${tokenId}`, {
        roles: roles.join(','),
        advice: `use at least ${shortestSafeToken} random characters, or tokens that expire: tctl tokens add`,
      });
    const before = byHash.get(hash)?.roles ?? [];
    byHash.set(hash, { roles: [...new Set([...before, ...roles])].sort(), hash, tokenId });
  }
  return [...byHash.values()];
}

/** The token with this hash. Takes the same time for each token, and for none. */
export function findStatic(tokens: readonly KnownStaticToken[], hash: string): KnownStaticToken | undefined {
  const wanted = Buffer.from(hash);
  return tokens
    .map((one) => ({ one, fits: timingSafeEqual(Buffer.from(one.hash), wanted) }))
    .filter(({ fits }) => fits)
    .map(({ one }) => one)[0];
}
