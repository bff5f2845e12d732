import { deleteToken as row } from '../../api/operations/token.ts';
import { CodedError } from '../../base/errors.ts';
import { joinToken, tokenIdOf } from '../../domain/join-token.ts';
import { tokenStream } from '../../domain/streams.ts';
import { load, step, transact } from '../../log/execute.ts';
import { tokenHash } from '../../pki/token.ts';
import { createdToken } from '../../views/tokens.ts';
import { timeForToken } from '../deciding-time-of.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { findStatic } from './static-tokens.ts';

/**
 * Ends a token, named by its id or by the token itself: no machine joins with it any more; those that did
 * stay.
 * @throws CodedError `bad_request` for a token in the file; `not_found`, which does not repeat the text
 *   because it may be a secret.
 */
export const deleteToken = implementing(row, async (deps, call, { token }) => {
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
  const hash = named ?? hashOfIt;
  const { state, revision } = await load(deps.log.state, joinToken, tokenStream(hash), asOf);
  // A text that was never a token does not become part of a stream's name.
  if (revision === 0) throw new CodedError('not_found', 'the token is not found');
  const { position } = await transact(
    deps.log.state,
    [step(joinToken, tokenStream(hash), { type: 'delete-token', ...timeForToken(deps, hash, state) })],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a deletion made no fact');
  await deps.views.reached(position);
  return { position };
});
