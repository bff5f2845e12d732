import { type AuthorityFact, authorityFact, keysBroughtBy } from '../../domain/authority-facts.ts';
import { authorityStream, restoreStream } from '../../domain/streams.ts';
import { decodeBatch } from '../../log/batch.ts';
import type { Recorded } from '../../log/event.ts';
import { readMark } from '../../log/copy-mark.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { caPinOf } from '../../pki/ca-pin.ts';

/** Which cluster the log in a store belongs to. */
export type ClusterInStore =
  | { readonly status: 'none' }
  /** A copy or import into it, or its restore from a file, has not ended: opening the log tells. */
  | { readonly status: 'unfinished' }
  | { readonly status: 'holds'; readonly clusterName: string; readonly caPins: readonly string[] };

/**
 * Reads which cluster a log is of, from the keys that its host authority has or had: in the log's first
 * batches, unless one of `sought` came by a rotation. Neither folds nor checks the log; opening it does that.
 * @param sought once one of these pins is found, the rest need not be read.
 * @throws CodedError `damaged` for a batch that is not what was written, `misconfigured` for one of a newer
 *   version.
 */
export async function clusterInStore(
  driver: Pick<SlotDriver, 'read' | 'meta' | 'snapshots'>,
  sought: readonly string[],
): Promise<ClusterInStore> {
  if ((await readMark(driver)) !== undefined) return { status: 'unfinished' };
  let clusterName: string | undefined;
  const caPins: string[] = [];
  let isRestored = false;
  for await (const { batch } of driver.read('state', 1)) {
    const { events } = decodeBatch(batch);
    isRestored ||= events.some(({ stream }) => stream === restoreStream);
    for (const fact of hostAuthorityFactsIn(events)) {
      if (fact.type === 'authority.created') clusterName ??= fact.data.clusterName;
      caPins.push(...keysBroughtBy(fact).map((key) => caPinOf(key.tlsCertificatePem)));
      if (clusterName !== undefined && caPins.some((pin) => sought.includes(pin)))
        return { status: 'holds', clusterName, caPins };
    }
  }
  if (clusterName !== undefined) return { status: 'holds', clusterName, caPins };
  return { status: isRestored ? 'unfinished' : 'none' };
}

const stream = authorityStream('host');

function hostAuthorityFactsIn(events: readonly Recorded[]): readonly AuthorityFact[] {
  return events
    .filter((event) => event.stream === stream)
    .flatMap((event) => {
      const { success, data } = authorityFact.safeParse(event.fact);
      return success ? [data] : [];
    });
}
