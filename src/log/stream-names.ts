import { setImmediate as turn } from 'node:timers/promises';
import type { StreamName } from './event.ts';
import { HeapStreams, type StreamIndexes } from './stream-index.ts';

/** How many are looked at before the event loop serves others. */
const namesOfTurn = 20_000;

/** See `EventLog.streamsNamed`. */
export async function streamsNamed(streams: StreamIndexes, prefix: string): Promise<readonly StreamName[]> {
  if (!(streams instanceof HeapStreams)) throw new Error('bug: the names of these streams are not in memory');
  const found: StreamName[] = [];
  let looked = 0;
  for (const [name] of streams.entries()) {
    if (name.startsWith(prefix)) found.push(name);
    if (++looked % namesOfTurn === 0) await turn();
  }
  return found;
}
