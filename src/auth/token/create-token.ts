import { createToken as row } from '../../api/operations/token.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs, second } from '../../base/time.ts';
import { joinToken, tokenIdOf } from '../../domain/join-token.ts';
import { tokenStream } from '../../domain/streams.ts';
import { load, step, transact } from '../../log/execute.ts';
import { newToken, tokenHash } from '../../pki/token.ts';
import { timeForToken } from '../deciding-time-of.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { findStatic, shortestSafeToken } from './static-tokens.ts';

/** A secret that admits machines. It is in the response and nowhere else; the log has its hash. */
export const createToken = implementing(row, async (deps, call, input) => {
  if (input.value !== undefined) checkValue(input.value);
  const token = input.value ?? newToken((n) => deps.world.randomBytes(n));
  const hash = tokenHash(token);
  const known = findStatic(deps.staticTokens, hash);
  if (known !== undefined)
    throw new CodedError('already_exists', `this value is that of the static token ${known.tokenId}`);
  // A random value was never a token.
  const asOf = input.value === undefined ? undefined : await deps.views.fresh();
  const before =
    asOf === undefined ? undefined : await load(deps.log.state, joinToken, tokenStream(hash), asOf);
  const time = timeForToken(deps, hash, before?.state ?? joinToken.initial);
  const ttlMs = input.ttlSeconds * second;
  const names = (input.names ?? []).map((name) => name.toLowerCase());
  const { position } = await transact(
    deps.log.state,
    [
      step(joinToken, tokenStream(hash), {
        type: 'create-token',
        ...time,
        roles: input.roles,
        ttlMs,
        uses: input.uses ?? null,
        names,
      }),
    ],
    causeOf(deps, call),
    asOf === undefined ? { deadline: call.deadline } : termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a new token made no fact');
  await deps.views.reached(position);
  return { token, tokenId: tokenIdOf(hash), expiresAt: plusMs(time.now, ttlMs), position, names };
});

/**
 * A machine takes a token that begins with a slash for the path of a file; other characters have a meaning in
 * a shell.
 */
function checkValue(value: string): void {
  if (value.length < shortestSafeToken)
    throw new CodedError(
      'bad_request',
      `the value of a token needs at least ${shortestSafeToken} characters: a shorter one can be guessed; ` +
        'without a value a random one is made',
    );
  if (!/^[A-Za-z0-9._~+=@%:-][A-Za-z0-9._~+=@%:/-]*$/.test(value))
    throw new CodedError(
      'bad_request',
      'the value of a token has letters, digits and any of . _ ~ + = @ % : / -, and does not begin with a slash',
    );
}
