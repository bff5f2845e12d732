import { isCoded } from '../../base/errors.ts';
import { minute } from '../../base/time.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { keptPartitions, type Outlook, outlookOf } from '../../log/growth.ts';

/** How fast a log grows changes slowly, and to measure it costs some hundred reads of the store. */
const freshMs = 5 * minute;

/**
 * For how long the store has space at today's pace, as measured within the last minutes; undefined while the
 * store is away. Several who ask at once share a measurement.
 */
export function storeOutlook(
  log: Pick<ClusterLog, 'growth' | 'store'>,
  monotonic: () => number,
): () => Promise<Outlook | undefined> {
  let last: { readonly at: number; readonly outlook: Promise<Outlook> } | undefined;
  const measure = async (): Promise<Outlook> => {
    const kept = await Promise.all(keptPartitions.map((name) => log.growth(name)));
    return outlookOf(log.store().room, kept);
  };
  return async () => {
    if (last === undefined || monotonic() - last.at >= freshMs)
      last = { at: monotonic(), outlook: measure() };
    const asked = last;
    try {
      return await asked.outlook;
    } catch (e) {
      // A failure is not remembered.
      if (last === asked) last = undefined;
      if (!isCoded(e)) throw e;
      return undefined;
    }
  };
}
