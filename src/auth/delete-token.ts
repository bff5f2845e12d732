import type { z } from 'zod';
import type { deleteToken as operation } from '../api/operations.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError } from '../base/errors.ts';
import { joinToken, tokenIdOf } from '../domain/join-token.ts';
import { tokenStream } from '../domain/streams.ts';
import type { Position } from '../log/event.ts';
import { step, transact } from '../log/execute.ts';
import { tokenHash } from '../pki/token.ts';
import { createdToken } from '../views/tokens.ts';
import { type AuthDeps, causeOf, termsOf } from './deps.ts';
import { findStatic } from './static-tokens.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/**
 * Ends a token, named by its id or by itself: no machine joins with it any more; those that did stay.
 * @throws CodedError `bad_request` for one of the file; `not_found`, which does not repeat what may be a secret.
 */
export async function deleteToken(deps: AuthDeps, call: Call, { token }: Input): Promise<Output> {
  const asOf = await deps.views.fresh();
  const hashOfIt = tokenHash(token);
  const ofFile =
    deps.staticTokens.find(({ tokenId }) => tokenId === token) ?? findStatic(deps.staticTokens, hashOfIt);
  if (ofFile !== undefined)
    throw new CodedError(
      'bad_request',
      `token ${ofFile.tokenId} is statically configured and cannot be removed`,
    );
  const named = createdToken(deps.views.tokens.state(), (hash) => tokenIdOf(hash) === token);
  const { position } = await transact(
    deps.log.state,
    [
      step(joinToken, tokenStream(await existing(deps, named ?? hashOfIt, asOf)), {
        type: 'delete-token',
        now: deps.world.now(),
      }),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a deletion made no fact');
  await deps.views.reached(position);
  return { position };
}

/** What was never a token does not become the name of a stream. */
async function existing(deps: AuthDeps, hash: string, asOf: Position): Promise<string> {
  if ((await deps.log.state.revision(tokenStream(hash), asOf)) === 0)
    throw new CodedError('not_found', 'the token is not found');
  return hash;
}
