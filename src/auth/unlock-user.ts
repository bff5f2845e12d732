import type { z } from 'zod';
import type { unlockUser as operation } from '../api/operations.ts';
import type { Call } from '../api/server-deps.ts';
import { userStream } from '../domain/streams.ts';
import { user } from '../domain/user.ts';
import { step, transact } from '../log/execute.ts';
import { type AuthDeps, causeOf, termsOf } from './deps.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/** Failed logins of this user count no more, and those that they locked out may try again. @throws CodedError `not_found` */
export async function unlockUser(deps: AuthDeps, call: Call, { username }: Input): Promise<Output> {
  const asOf = await deps.views.fresh();
  const { position } = await transact(
    deps.log.state,
    [step(user, userStream(username), { type: 'unlock-user', username })],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position !== undefined) await deps.views.reached(position);
  return { unlocked: position !== undefined, position: position ?? asOf };
}
