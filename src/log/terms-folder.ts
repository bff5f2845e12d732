import type { Partition } from './event.ts';
import type { SlotDriver } from './slot-driver.ts';
import { eventsInPart } from './term-chapter.ts';

/** Where the indexes of terms are, beside the snapshots. */
export const termsFolder = (partition: Partition): string => `${partition}-terms/`;

/** What the indexes of a partition have for each event, by their newest chapters. */
export async function indexBytesPerEvent(
  { snapshots }: Pick<SlotDriver, 'snapshots'>,
  partition: Partition,
): Promise<number> {
  const newest = new Map<string, string>();
  for (const key of await snapshots.list(termsFolder(partition))) {
    const [terms = '', chapter] = key.slice(termsFolder(partition).length).split('/');
    if (chapter !== undefined) newest.set(terms, key);
  }
  let sum = 0;
  for (const key of newest.values()) {
    const parts = Number(key.split('-').at(-1));
    const { length } = (await snapshots.get(key)) ?? { length: 0 };
    if (parts > 0) sum += length / (parts * eventsInPart);
  }
  return sum;
}
