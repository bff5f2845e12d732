import { CodedError } from '../../../base/errors.ts';
import { msBetween, second } from '../../../base/time.ts';
import { tokenIdOf, tokenLimits } from '../../../domain/join-token.ts';
import { type TokenDocument, tokenKind } from '../../../domain/resources/token.ts';
import { tokenHash } from '../../../pki/token.ts';
import { createToken } from '../../token/create-token.ts';
import { deleteToken } from '../../token/delete-token.ts';
import { listTokens } from '../../token/list-tokens.ts';
import { removal, type ServedKind } from '../served-kind.ts';

type Listed = Awaited<ReturnType<typeof listTokens>>['tokens'][number];

const documentOf = ({
  tokenId,
  roles,
  expiresAt,
  usesLeft,
  names,
  joined,
  origin,
}: Listed): TokenDocument => ({
  kind: 'token',
  version: 'v2',
  metadata: { name: tokenId, ...(expiresAt !== null && { expires: expiresAt }) },
  spec: {
    roles,
    ...(usesLeft !== null && usesLeft > 0 && { uses: usesLeft }),
    ...(names !== undefined && names.length > 0 && { names }),
    ...{ joined, origin },
  },
});

/**
 * Tokens by which machines join. A file that makes one gives the secret, as its name (as in 4.4) or in
 * `spec.token`; a hash of it is kept.
 */
export const servedTokens: ServedKind = {
  kind: tokenKind,
  list: async (deps, call) => (await listTokens(deps, call, {})).tokens.map(documentOf),
  create: (deps, call, { document }) => {
    const { metadata, spec } = document as TokenDocument;
    // What is printed has the id for a name: made of it, anybody who may see tokens would know the secret.
    if (spec.origin !== undefined || spec.joined !== undefined || metadata.revision !== undefined)
      throw new CodedError(
        'bad_request',
        'spec.token: a token that was printed has no secret in it, so it cannot be made again: make another one',
      );
    const value = spec.token ?? metadata.name;
    const ttlMs =
      metadata.expires === undefined ? tokenLimits.defaultMs : msBetween(deps.world.now(), metadata.expires);
    if (ttlMs < tokenLimits.minMs)
      throw new CodedError('bad_request', 'metadata.expires: a token lasts at least a minute from now');
    return Promise.resolve({
      after: {
        ...document,
        metadata: { ...metadata, name: tokenIdOf(tokenHash(value)) },
        spec: { ...spec, token: undefined },
      },
      commit: async () => {
        const made = await createToken(deps, call, {
          roles: [...spec.roles],
          ttlSeconds: Math.floor(ttlMs / second),
          ...(spec.uses !== undefined && { uses: spec.uses }),
          ...(spec.names !== undefined && { names: spec.names }),
          value,
        });
        return made.position;
      },
    });
  },
  remove: removal((deps, call, name) => deleteToken(deps, call, { token: name })),
};
