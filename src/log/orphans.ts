import { CodedError } from '../base/errors.ts';
import { hour, type Instant, plusMs } from '../base/time.ts';
import type { ClusterLog } from './event-log.ts';
import { partitions } from './event.ts';
import { dataKeyIds } from './data-keys.ts';
import type { BlobStore } from './slot-driver.ts';

/** A data key is stored before its event: a young one may still get it. */
const settledAfterMs = 24 * hour;

/**
 * Data keys that no event refers to and that are older than a day: left by an auth server that died between
 * sealing and appending. They open nothing. Reads the whole log.
 * @throws CodedError `unavailable` when the log is not complete: then it is unknown what is referred to.
 */
export async function findOrphans(vault: BlobStore, log: ClusterLog, now: Instant): Promise<string[]> {
  const limit = plusMs(now, -settledAfterMs);
  const left = new Set((await dataKeyIds(vault)).filter((keyId) => madeAt(keyId) < limit));
  for (const partition of partitions) {
    const { damage } = log.stats()[partition];
    if (damage !== undefined)
      throw new CodedError('unavailable', `the ${partition} log is damaged: orphans cannot be determined`);
    const first = await log[partition].positionBefore('1970-01-01T00:00:00.000Z');
    // Views that came from a snapshot still refer to trimmed events.
    if (partition === 'state' && first > 0)
      throw new CodedError('unavailable', 'the state log was trimmed: orphans cannot be determined');
    for await (const event of log[partition].history(first))
      for (const { keyId } of Object.values(event.sealed ?? {})) left.delete(keyId);
  }
  return [...left];
}

/** From the UUID of version 7 at its beginning; an id without one counts as new, so that it stays. */
function madeAt(keyId: string): Instant {
  const ms = /^([0-9a-f]{8})-([0-9a-f]{4})-7/.exec(keyId);
  return ms ? new Date(Number.parseInt(`${ms[1]}${ms[2]}`, 16)).toISOString() : '9999-12-31T23:59:59.999Z';
}
