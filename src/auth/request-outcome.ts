import type { z } from 'zod';
import { actorOf } from '../api/guard.ts';
import type { readRequestOutcome } from '../api/request-outcome.ts';
import type { Call } from '../api/server-deps.ts';
import type { AuthDeps } from './deps.ts';

type Input = z.output<typeof readRequestOutcome.input>;
type Output = z.input<typeof readRequestOutcome.output>;

/** Whoever asks does so within seconds. */
const newestEvents = 5_000;

/** Only of the caller's own calls. */
export async function requestOutcome(
  { log: { state } }: Pick<AuthDeps, 'log'>,
  { caller }: Pick<Call, 'caller'>,
  { requestId }: Input,
): Promise<Output> {
  const actor = actorOf(caller);
  let position: number | undefined;
  let looked = 0;
  const head = await state.head();
  for await (const event of state.history(Math.max(0, head - newestEvents))) {
    looked++;
    if (event.cause.requestId === requestId && event.cause.actor === actor) position = event.position;
  }
  return { looked, ...(position !== undefined && { position }) };
}
