import { actorOf } from '../../api/guard.ts';
import { readRequestOutcome as row } from '../../api/operations/log.ts';
import { implementing } from '../implementing.ts';

/** Callers ask within seconds. */
const newestEvents = 5_000;

/** Only for the caller's own calls. */
export const readRequestOutcome = implementing(row, async ({ log: { state } }, { caller }, { requestId }) => {
  const actor = actorOf(caller);
  let position: number | undefined;
  let looked = 0;
  const head = await state.head();
  for await (const event of state.history(Math.max(0, head - newestEvents))) {
    looked++;
    if (event.cause.requestId === requestId && event.cause.actor === actor) position = event.position;
  }
  return { looked, ...(position !== undefined && { position }) };
});
