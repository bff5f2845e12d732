import { timingSafeEqual } from 'node:crypto';
import type { LogSink } from '../../base/log-sink.ts';
import type { JoinRole } from '../../domain/join-token.ts';
import { tokenHash } from '../../pki/token.ts';

/** A token as the file of an auth server has it. */
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
   * How it is called where people read: by its line in the file. A part of its hash would tell whoever reads
   * a log how to find a short secret without asking anybody.
   */
  readonly tokenId: string;
}

/** Who guesses may try some 20 a second from each address: a shorter secret can be found. */
export const shortestSafeToken = 16;

/** Reads what the file says. Two lines of one secret are one token in the roles of both. */
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

/** The token of this hash. Takes the same time whichever it is, and for none. */
export function findStatic(tokens: readonly KnownStaticToken[], hash: string): KnownStaticToken | undefined {
  const wanted = Buffer.from(hash);
  return tokens
    .map((one) => ({ one, fits: timingSafeEqual(Buffer.from(one.hash), wanted) }))
    .filter(({ fits }) => fits)
    .map(({ one }) => one)[0];
}
