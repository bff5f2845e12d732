import type { EventLog } from '../../../src/log/event-log.ts';
import type { Recorded } from '../../../src/log/event.ts';
import type { Stored } from './history.ts';

/** The whole log, in the words of the history. */
export async function allStored(log: Pick<EventLog, 'history'>): Promise<Stored[]> {
  const stored: Stored[] = [];
  for await (const event of log.history(0)) stored.push(storedAs(event));
  return stored;
}

export const storedAs = (event: Recorded): Stored => ({
  position: event.position,
  id: event.id,
  stream: event.stream,
  revision: event.revision,
  value: valueOf(event),
});

function valueOf({ fact }: Recorded): string {
  const { value, hostId } = fact.data as { readonly value?: string; readonly hostId?: string };
  if (fact.type === 'token.used') return hostId ?? '';
  return value ?? fact.type.slice(fact.type.indexOf('.') + 1);
}
