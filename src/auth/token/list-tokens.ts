import { listTokens as row } from '../../api/operations/token.ts';
import { expiryOf, isExpired, tokenIdOf } from '../../domain/join-token.ts';
import { createdTokens, joinsOf } from '../../views/tokens.ts';
import { timeForToken } from '../deciding-time-of.ts';
import { implementing } from '../implementing.ts';

/**
 * Tokens that have not expired: first those in this server's file, then by expiry. None of their secrets is
 * known here.
 */
export const listTokens = implementing(row, async (deps) => {
  await deps.views.fresh();
  const tokens = deps.views.tokens.state();
  const ofFile = deps.staticTokens.map(({ tokenId, roles, hash }) => ({
    tokenId,
    origin: 'static' as const,
    roles: [...roles],
    expiresAt: null,
    usesLeft: null,
    joined: joinsOf(tokens, { hash, tokenId }),
  }));
  const created = createdTokens(tokens)
    .map(([hash, token]) => ({ hash, token, time: timeForToken(deps, hash, token) }))
    .filter(({ token, time }) => !isExpired(token, time))
    .map(({ hash, token, time }) => [hash, { ...token, expiresAt: expiryOf(token, time) }] as const)
    .sort(([, a], [, b]) => (a.expiresAt < b.expiresAt ? -1 : a.expiresAt > b.expiresAt ? 1 : 0))
    .map(([hash, { roles, expiresAt, uses, used, names = [] }]) => ({
      tokenId: tokenIdOf(hash),
      origin: 'dynamic' as const,
      roles: [...roles],
      expiresAt,
      usesLeft: uses === null ? null : Math.max(0, uses - used),
      joined: joinsOf(tokens, { hash, tokenId: tokenIdOf(hash) }),
      names: [...names],
    }));
  return { tokens: [...ofFile, ...created] };
});
