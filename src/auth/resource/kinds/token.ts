import { CodedError } from '../../../base/errors.ts';
import { type Instant, msBetween, second } from '../../../base/time.ts';
import { type ActiveToken, tokenIdOf, tokenLimits } from '../../../domain/join-token.ts';
import { type TokenDocument, tokenKind } from '../../../domain/resources/token.ts';
import { tokenStream } from '../../../domain/streams.ts';
import { tokenHash } from '../../../pki/token.ts';
import { createToken } from '../../token/create-token.ts';
import { deleteToken } from '../../token/delete-token.ts';
import { listTokens } from '../../token/list-tokens.ts';
import { findKey } from '../../../views/table.ts';
import { createdTokens, tokensView } from '../../../views/tokens.ts';
import { pastKind } from '../past-kind.ts';
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

/** Of a hash there is only as much as the id has. */
const idForm = /^[0-9a-f]{16}$/;

/** How long it lasts goes by the clock of the server that made it: `at` is a moment of the log, too. */
function documentThen(
  hash: string,
  { roles, expiresAt, uses, used, names = [] }: ActiveToken,
  at: Instant | undefined,
): TokenDocument | undefined {
  if (at !== undefined && expiresAt <= at) return undefined;
  return documentOf({
    ...{ tokenId: tokenIdOf(hash), origin: 'dynamic', roles: [...roles], expiresAt, joined: used },
    usesLeft: uses === null ? null : Math.max(0, uses - used),
    names: [...names],
  });
}

const past = pastKind<'tokens'>({
  view: 'tokens',
  projection: tokensView,
  stream: async (name, log) => {
    if (!idForm.test(name)) return undefined;
    const [stream] = await log.streamsNamed(tokenStream(name));
    return stream;
  },
  find: (tokens, name, at) => {
    const found = createdTokens(tokens).find(([hash]) => tokenIdOf(hash) === name);
    return found && documentThen(...found, at);
  },
  isUnreadable: ({ unreadable }, name) =>
    findKey(unreadable, (hash) => tokenIdOf(hash) === name) !== undefined,
  all: (tokens, at) => createdTokens(tokens).flatMap((one) => documentThen(...one, at) ?? []),
});

/**
 * Tokens by which machines join. A file that makes one gives the secret, as its name (as in 4.4) or in
 * `spec.token`; a hash of it is kept.
 */
export const servedTokens: ServedKind = {
  kind: tokenKind,
  past,
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
