import { hash } from 'node:crypto';
import { silentLog } from '../base/log-sink.ts';
import { CodedError } from '../base/errors.ts';
import { type Partition, partitions } from './event.ts';
import { markKey } from './copy-mark.ts';
import { isLasting } from './data-keys.ts';
import { runsFolder } from './index-runs.ts';
import { milestonesFolder } from './milestones.ts';
import { isStoreKey } from './keyring-store.ts';
import { type BlobStore, maxReplacedBytes, type SlotDriver } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { restoreFold } from './snapshots.ts';

/** Blobs that are read at once: over a network one after the other takes long. */
const atOnce = 16;

type Stores = Pick<SlotDriver, 'vault' | 'snapshots' | 'meta'>;

/**
 * Makes vault, meta and snapshots of the target equal to those of the source. Remembers what it wrote, so
 * that it later writes only changes.
 */
export class BlobCopy {
  readonly #source: Stores;
  readonly #target: Stores;
  readonly #vault = new Map<string, string>();
  readonly #meta = new Map<string, string>();
  readonly #snapshots = new Map<string, string>();

  readonly #storeKeys: boolean;

  /** @param storeKeys whether to copy keys that are in the source itself and open its data keys. */
  constructor(source: Stores, target: Stores, storeKeys: boolean) {
    this.#source = source;
    this.#target = target;
    this.#storeKeys = storeKeys;
  }

  /** Data keys that were destroyed at the source are destroyed at the target. Returns how many there are. */
  async vault(): Promise<number> {
    const keys = (await this.#source.vault.list('')).filter((key) => isLasting(key) && this.#takes(key));
    await this.#put('vault', keys, this.#vault);
    await destroyOthers(this.#target.vault, new Set(keys));
    return keys.length;
  }

  /** Copies the keys in the store itself only when requested. The mark of this copy belongs to the target. */
  async meta(): Promise<void> {
    const lasting = (key: string): boolean => key !== markKey && this.#takes(key);
    const keys = (await this.#source.meta.list('')).filter(lasting);
    await this.#put('meta', keys, this.#meta);
    await destroyOthers(this.#target.meta, new Set([...keys, markKey]));
  }

  #takes(key: string): boolean {
    return this.#storeKeys || !isStoreKey(key);
  }

  /** Only complete snapshots; the manifest of each is written last. */
  async snapshots(): Promise<void> {
    for (const partition of partitions) {
      const keys = wholeSnapshots(await this.#source.snapshots.list(`${partition}/`));
      // Listed after the manifests that need them.
      const runs = await this.#source.snapshots.list(runsFolder(partition));
      await this.#put('snapshots', runs, this.#snapshots);
      const [manifests, parts] = [keys.filter(isManifest), keys.filter((key) => !isManifest(key))];
      await this.#put('snapshots', parts, this.#snapshots);
      await this.#put('snapshots', manifests, this.#snapshots);
      await removeOthers(this.#target.snapshots, new Set(keys), `${partition}/`);
      await removeOthers(this.#target.snapshots, new Set(runs), runsFolder(partition));
      const milestones = await this.#source.snapshots.list(milestonesFolder(partition));
      // None changes: what is here already is not read again while a move keeps everybody from writing.
      const missing = milestones.filter((key) => !this.#snapshots.has(key));
      await this.#put('snapshots', missing, this.#snapshots);
      await removeOthers(this.#target.snapshots, new Set(milestones), milestonesFolder(partition));
    }
  }

  async #put(
    store: 'vault' | 'snapshots' | 'meta',
    keys: readonly string[],
    known: Map<string, string>,
  ): Promise<void> {
    const left = [...keys];
    const one = async (): Promise<void> => {
      for (let key = left.pop(); key !== undefined; key = left.pop()) {
        const value = await this.#source[store].get(key);
        // Deleted since it was listed.
        if (value === undefined) {
          await (store === 'snapshots' ? this.#target[store].remove(key) : this.#target[store].destroy(key));
          continue;
        }
        const digest = hash('sha256', value, 'base64');
        if (known.get(key) === digest) continue;
        await putValue(this.#target[store], key, value);
        known.set(key, digest);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, one));
  }
}

const isManifest = (key: string): boolean => key.endsWith('/manifest');

/** The keys of snapshots that have a manifest. */
export function wholeSnapshots(keys: readonly string[]): string[] {
  const whole = new Set(keys.filter(isManifest).map((key) => key.slice(0, -'manifest'.length)));
  return keys.filter((key) => whole.has(key.split('/').slice(0, 2).join('/') + '/'));
}

async function removeOthers(blobs: BlobStore, keep: ReadonlySet<string>, prefix: string): Promise<void> {
  const others = (await blobs.list(prefix)).filter((key) => !keep.has(key));
  // A manifest is deleted before its parts: the remains of a snapshot without one do not count.
  others.sort((a, b) => Number(isManifest(b)) - Number(isManifest(a)));
  for (const key of others) await blobs.remove(key);
}

async function destroyOthers(blobs: BlobStore, keep: ReadonlySet<string>): Promise<void> {
  for (const key of await blobs.list('')) if (!keep.has(key)) await blobs.destroy(key);
}

/**
 * Sets a key to this value, where nobody else writes it.
 * @throws CodedError `already_exists` when it was destroyed there.
 */
export async function putValue(blobs: BlobStore, key: string, value: Uint8Array): Promise<void> {
  for (;;) {
    const outcome = await blobs.create(key, value);
    if (outcome === 'created') return;
    if (outcome === 'destroyed')
      throw new CodedError(
        'already_exists',
        `${key} was destroyed in that store for good: name an empty store`,
      );
    const there = await blobs.get(key);
    if (there === undefined || Math.max(there.length, value.length) > maxReplacedBytes)
      await blobs.remove(key);
    else if ((await blobs.replace(key, there, value)) === 'replaced') return;
  }
}

/**
 * A partition whose beginning was trimmed can only be opened from a snapshot.
 * @throws CodedError `damaged` when no snapshot joins the slots.
 */
export async function requireSnapshot(driver: SlotDriver, partition: Partition, what: string): Promise<void> {
  const snapshots = new SnapshotStore(driver.snapshots, partition, silentLog);
  if ((await restoreFold(driver, snapshots, silentLog)) === undefined)
    throw new CodedError(
      'damaged',
      `${what}: the beginning of ${partition} was trimmed, and no snapshot tells what it held`,
    );
}
