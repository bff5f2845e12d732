import type { LogSink } from '../base/log-sink.ts';
import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import type { ObjectStore } from '../base/object-store.ts';
import { openArchiveOf } from './segment-report.ts';
import { archivedDriver } from './archived-driver.ts';
import { type Authenticity, makeAuthenticity, readAuthenticity } from './authenticity.ts';
import { refuseUnfinished, UnfinishedCopy } from './copy-mark.ts';
import type { ArchiveTimes } from './archive-times.ts';
import type { ClusterLog } from './event-log.ts';
import { type Partition, partitions } from './event.ts';
import { type Keyring, noKeyring } from './keyring.ts';
import { PartitionLog } from './partition-log.ts';
import type { PartitionLogOptions } from './partition-options.ts';
import type { KnownPlace } from './reader-options.ts';
import { namedKeys } from './named-keys.ts';
import { newestHasMac } from './seal-old-log.ts';
import { Sealing } from './sealing.ts';
import type { SlotDriver } from './slot-driver.ts';

export interface LogOptions {
  /** Belongs to the log from here on: closed with it. */
  readonly driver: SlotDriver;
  readonly keyring: Keyring;
  readonly world: World;
  /** Host id of this process, written into every batch. */
  readonly writer: string;
  readonly sink: LogSink;
  /**
   * Followers read for new slots at this interval even without a hint. Default: the driver's own, else 250.
   */
  readonly pollMs?: number;
  /** How long the outcome of an append with a lost reply is checked. Default 30,000. */
  readonly settleMs?: number;
  /** Appends that may wait for the store, and their bytes; more are refused with `limit_exceeded`. */
  readonly maxWaiting?: number;
  readonly maxWaitingBytes?: number;
  /** Stored bytes of decoded batches held per partition. Default 4 MiB. */
  readonly recentBytes?: number;
  /**
   * What the store is known to have contained: if it does not any more, the log opens as one that went back.
   */
  readonly known?: Partial<Readonly<Record<Partition, KnownPlace>>>;
  /**
   * Makes and checks MACs, where the vault of this store may not have the key yet. Default: by the keyring.
   */
  readonly authenticity?: Authenticity | undefined;
  /** Opens the log even while it is being copied into this store. For copying. */
  readonly unfinished?: boolean;
  /** Where `audit` goes when the store need not hold it any more. Default: it stays. */
  readonly archive?: ArchiveOptions | undefined;
  /** `reading`: also opens a copy that must not be served. Default: `living`. */
  readonly use?: 'living' | 'reading';
}

export interface ArchiveOptions extends ArchiveTimes {
  /** Belongs to the log from here on: closed with it. */
  readonly objects: ObjectStore;
  /** For tests; see `Archiving`. */
  readonly segmentBytes?: number;
}

/**
 * Opens the log on a store: from the newest snapshot, then later events. A damaged partition opens too: it
 * serves the events before the damage and refuses to write. With `noKeyring` MACs are not checked.
 * @throws CodedError `misconfigured` when a newer version wrote it, or the key of its MACs is not in the
 *   vault; `unavailable` when the keyring does not open that key, the store cannot be read, or the log in it
 *   is not whole; the driver is closed then.
 */
export async function openLog(options: LogOptions): Promise<ClusterLog> {
  let logs: Record<Partition, PartitionLog>;
  try {
    logs = makeLogs({ ...options, authenticity: options.authenticity ?? (await authenticityIn(options)) });
    await Promise.all(partitions.map((name) => logs[name].open()));
    if (options.unfinished !== true) {
      await refuseUnfinished(options.driver, options.use);
      refuseAbandoned(logs);
    }
  } catch (e) {
    await options.driver.close();
    await options.archive?.objects.close();
    throw e;
  }
  return clusterLog(logs, options);
}

/** @throws UnfinishedCopy for a store from which a move was taken back: the log continues elsewhere. */
function refuseAbandoned(logs: Readonly<Record<Partition, PartitionLog>>): void {
  for (const partition of partitions) {
    const { fence } = logs[partition].stats();
    if (fence?.status === 'abandoned') throw new UnfinishedCopy(fence.reason);
  }
}

/** @throws CodedError `misconfigured` when its batches have MACs and the key is gone. */
async function authenticityIn({
  driver,
  keyring,
  world,
  known,
  use,
}: LogOptions): Promise<Authenticity | undefined> {
  if (keyring === noKeyring) return undefined;
  const { vault } = driver;
  const found = await readAuthenticity({ vault, keyring });
  if (found) {
    refuseOtherKey(found, known);
    return found;
  }
  // It may not have arrived yet.
  await refuseUnfinished(driver, use);
  for (const partition of partitions)
    if (known?.[partition]?.authentic === true || (await newestHasMac(driver, partition)))
      throw new CodedError(
        'misconfigured',
        `the batches of ${partition} have MACs, and the key that they are under is not in the vault of the store: restore the vault, or import a backup that was made with its secrets. After a store was put back to before it had MACs: tctl log recover --offline`,
      );
  return makeAuthenticity({ vault, keyring, world });
}

/**
 * Anybody with write access to the store could add a key of the store's own beside the keyring, and under it
 * another key for MACs.
 * @throws CodedError `misconfigured`
 */
function refuseOtherKey({ keyId }: Authenticity, known: LogOptions['known']): void {
  const now = keyId.toString('hex');
  for (const partition of partitions) {
    const before = known?.[partition]?.macKeyId;
    if (before !== undefined && before !== now)
      throw new CodedError(
        'misconfigured',
        `the batches of ${partition} had MACs under the key ${before}, and the vault of the store holds ${now} in its place: restore the vault; ` +
          'where you put the log back yourself to before it had this key, remove log-known.json from data_dir',
      );
  }
}

/** A log that has not read its store yet. Enough for a store that is known to be empty. */
export const emptyLog = (options: LogOptions): ClusterLog => clusterLog(makeLogs(options), options);

function makeLogs(options: LogOptions): Record<Partition, PartitionLog> {
  const full: Omit<PartitionLogOptions, 'known' | 'archive'> = {
    pollMs: options.driver.limits.pollMs ?? 250,
    settleMs: 30_000,
    maxWaiting: 10_000,
    maxWaitingBytes: 64 * 1024 * 1024,
    recentBytes: 4 * 1024 * 1024,
    ...options,
    sealing: new Sealing(options.driver.vault, options.keyring, options.world),
  };
  const make = (
    partition: Partition,
    more: Pick<PartitionLogOptions, 'archive'> & { readonly driver?: SlotDriver } = {},
  ): PartitionLog =>
    new PartitionLog(partition, { ...full, archive: undefined, ...more, known: options.known?.[partition] });
  const state = make('state');
  const archive = options.archive && openArchiveOf('audit', { ...options, ...options.archive, state });
  return {
    state,
    attempts: make('attempts'),
    presence: make('presence'),
    audit: archive
      ? make('audit', { archive, driver: archivedDriver(options.driver, 'audit', archive.segments) })
      : make('audit'),
  };
}

const clusterLog = (
  logs: Readonly<Record<Partition, PartitionLog>>,
  { driver, archive, keyring }: Pick<LogOptions, 'driver' | 'archive' | 'keyring'>,
): ClusterLog => ({
  ...logs,
  archive: logs.audit.archive(),
  keys: namedKeys(driver.vault, keyring),
  takeSnapshot: (partition, views, options, cause) => logs[partition].takeSnapshot(views, options, cause),
  seal: (partition, views, options, cause) => logs[partition].seal(views, options, cause),
  growth: (partition) => logs[partition].growth(),
  inspect: (partition) => logs[partition].inspect(),
  lookFor: (partition, place) => logs[partition].lookFor(place),
  recovery: (partition) => logs[partition].recovery(),
  recover: (partition, step, cause) => logs[partition].recover(step, cause),
  stats: () => ({
    state: logs.state.stats(),
    attempts: logs.attempts.stats(),
    presence: logs.presence.stats(),
    audit: logs.audit.stats(),
  }),
  store: () => driver.report(),
  close: async () => {
    await Promise.all(partitions.map((name) => logs[name].close()));
    await driver.close();
    await archive?.objects.close();
  },
});
