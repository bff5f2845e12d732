import type { Partition } from './event.ts';
import { merged, runsToMerge, sortedSlices } from './index-merge.ts';
import { type IndexRun, openRun, type RunRef, writeRun } from './index-run.ts';
import type { Unsettled } from './segmented-streams.ts';
import type { BlobStore } from './slot-driver.ts';

/** Where the runs of a partition are, beside its snapshots, several of which share them. */
export const runsFolder = (partition: Partition): string => `${partition}-runs/`;

/** The runs of one partition in the store. */
export class IndexRuns {
  readonly #blobs: BlobStore;
  readonly #folder: string;
  /** Those that were opened or written last: they do not change. */
  #open = new Map<string, IndexRun>();

  constructor(blobs: BlobStore, partition: Partition) {
    this.#blobs = blobs;
    this.#folder = runsFolder(partition);
  }

  /** @throws CodedError `damaged` when one of them is gone, or was changed. */
  async open(refs: readonly RunRef[]): Promise<readonly IndexRun[]> {
    const runs: IndexRun[] = [];
    for (const ref of refs)
      runs.push(this.#open.get(ref.digest) ?? (await openRun(this.#blobs, this.#folder, ref)));
    this.#open = new Map(runs.map((one) => [one.ref.digest, one]));
    return runs;
  }

  /**
   * Stores the changes as a run of its own, merged with runs that are not larger. Returns all runs in use.
   * `id` begins with the slot and is unique.
   * @throws CodedError `damaged` when one of those cannot be read.
   */
  async write({ changed, runs }: Unsettled, id: string): Promise<readonly IndexRun[]> {
    if (changed.length === 0) return runs;
    const old = runsToMerge(runs, changed.length);
    const atMost = old.reduce((sum, one) => sum + one.ref.streams, changed.length);
    const newestFirst = [...(await sortedSlices(changed)), ...old.toReversed().map((one) => one.parts())];
    const run = await writeRun(this.#blobs, this.#folder, id, atMost, merged(newestFirst));
    return [...runs.slice(0, runs.length - old.length), run];
  }

  /**
   * Deletes unused runs: those that began before the older kept snapshot and belong neither to it nor to the
   * newer one.
   */
  async prune(needed: readonly RunRef[], before: string): Promise<void> {
    const kept = new Set(needed.map((one) => one.id));
    const idOf = (key: string): string => key.slice(this.#folder.length).split('/')[0] ?? '';
    const keys = (await this.#blobs.list(this.#folder)).filter(
      (key) => idOf(key) < before && !kept.has(idOf(key)),
    );
    // The directory is deleted first: without it, the remains do not count as a run.
    for (const key of keys.filter(isDirectory)) await this.#blobs.remove(key);
    for (const key of keys.filter((one) => !isDirectory(one))) await this.#blobs.remove(key);
  }

  /** Reads all there is of them. Returns their bytes. @throws CodedError `damaged` */
  async check(refs: readonly RunRef[]): Promise<number> {
    let bytes = 0;
    for (const ref of refs) bytes += await (await openRun(this.#blobs, this.#folder, ref)).check();
    return bytes;
  }
}

export const isDirectory = (key: string): boolean => key.endsWith('/directory');
