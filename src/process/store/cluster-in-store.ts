import { type AuthorityFact, authorityFact, keysBroughtBy } from '../../domain/authority-facts.ts';
import { authorityStream } from '../../domain/streams.ts';
import { decodeBatch } from '../../log/batch.ts';
import { readMark } from '../../log/copy-mark.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { caPinOf } from '../../pki/ca-pin.ts';

/** Which cluster the log in a store belongs to. */
export type ClusterInStore =
  | { readonly status: 'none' }
  /** A copy or import into it has not ended: nobody may open the log. */
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
  for await (const { batch } of driver.read('state', 1))
    for (const fact of hostAuthorityFactsIn(batch)) {
      if (fact.type === 'authority.created') clusterName ??= fact.data.clusterName;
      caPins.push(...keysBroughtBy(fact).map((key) => caPinOf(key.tlsCertificatePem)));
      if (clusterName !== undefined && caPins.some((pin) => sought.includes(pin)))
        return { status: 'holds', clusterName, caPins };
    }
  return clusterName === undefined ? { status: 'none' } : { status: 'holds', clusterName, caPins };
}

const stream = authorityStream('host');

function hostAuthorityFactsIn(batch: Uint8Array): readonly AuthorityFact[] {
  return decodeBatch(batch)
    .events.filter((event) => event.stream === stream)
    .flatMap((event) => {
      const { success, data } = authorityFact.safeParse(event.fact);
      return success ? [data] : [];
    });
}
