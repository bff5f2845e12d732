import type { AuthorityCommand } from '../../domain/authority-commands.ts';
import { authority } from '../../domain/authority.ts';
import type { AuthorityType } from '../../domain/authority-facts.ts';
import { authorityStream } from '../../domain/streams.ts';
import type { Cause, Position } from '../../log/event.ts';
import { step, type Terms, transact } from '../../log/execute.ts';
import type { AuthDeps } from '../deps.ts';

/**
 * Appends the facts that the commands lead to, for all authorities at once or for none.
 * @returns its position, which the views here have reached.
 * @throws CodedError as `transact`
 */
export async function takeSteps(
  { log, views }: Pick<AuthDeps, 'log' | 'views'>,
  commands: readonly { readonly type: AuthorityType; readonly command: AuthorityCommand }[],
  cause: Cause,
  terms?: Terms,
): Promise<Position> {
  const steps = commands.map(({ type, command }) => step(authority, authorityStream(type), command));
  const { position } = await transact(log.state, steps, cause, terms);
  if (position === undefined) throw new Error('bug: a step of a rotation without a fact');
  await views.reached(position);
  return position;
}
