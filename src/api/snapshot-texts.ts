import { jsonInTurns } from '../base/json-in-turns.ts';
import { startTimer } from '../base/timers.ts';
import { turns } from '../base/turns.ts';
import type { ViewState } from '../log/event-log.ts';
import type { Partition } from '../log/event.ts';
import type { Who } from './operation.ts';
import type { ServedLogs } from './served-logs.ts';

/** A state that is a moment old is good enough to begin from: newer events are followed. */
const freshMs = 1_000;

/** The states of a partition's views at a moment, and the texts that were made of them. */
interface Generation {
  readonly states: readonly ViewState[];
  readonly texts: Map<string, Promise<string | undefined>>;
}

/**
 * Returns where a reader of a log may begin: `{"position":…,"state":…}`, or undefined when there is nothing
 * for it. Taken from the server's own views, so that a reader continues from now; otherwise from the stored
 * snapshots. Made once per second for all callers: ten thousand hosts that start together cost the same as
 * one.
 */
export function snapshotTexts(
  logs: Pick<ServedLogs, 'log' | 'policy' | 'views'>,
): (who: Who, partition: Partition, projection: string) => Promise<string | undefined> {
  const generations = new Map<Partition, Generation>();
  const generationOf = (partition: Partition): Generation => {
    const known = generations.get(partition);
    if (known) return known;
    const made = { states: logs.views?.(partition) ?? [], texts: new Map() };
    generations.set(partition, made);
    // Not kept for readers that may come much later.
    startTimer(() => {
      generations.delete(partition);
    }, freshMs).unref();
    return made;
  };
  const textOf = async (who: Who, partition: Partition, view: ViewState): Promise<string | undefined> => {
    const state = logs.policy.snapshotFor(who, partition, view.name, view.state);
    if (state === undefined) return undefined;
    return (await jsonInTurns({ position: view.position, state }, turns()))?.join('');
  };
  return async (who, partition, projection) => {
    const { states, texts } = generationOf(partition);
    const view = states.find(({ name }) => name === projection);
    if (view === undefined) {
      const stored = await logs.log[partition].snapshot(projection);
      return stored && textOf(who, partition, { name: projection, ...stored });
    }
    const key = `${who} ${projection}`;
    const text = texts.get(key) ?? textOf(who, partition, view);
    texts.set(key, text);
    return text;
  };
}
