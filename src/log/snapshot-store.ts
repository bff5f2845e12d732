import { hash } from 'node:crypto';
import { isCoded } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { nextTurn } from '../base/turns.ts';
import type { Authenticity } from './authenticity.ts';
import type { EncodedView } from './encoded-views.ts';
import type { ViewSnapshot } from './event-log.ts';
import type { Partition, Revision } from './event.ts';
import type { RunRef } from './index-run.ts';
import { IndexRuns } from './index-runs.ts';
import { macFaultOf, manifestBytes, type ManifestText, manifestText } from './manifest-mac.ts';
import {
  commonOf,
  foldOf,
  type Manifest,
  manifestShape,
  segmentedManifest,
  wholeManifest,
} from './manifest.ts';
import type { PartitionFold } from './partition-fold.ts';
import { HeapStreams } from './stream-index.ts';
import { keepOver } from './keep-over.ts';
import type { BlobStore } from './slot-driver.ts';

/** How many are kept: if the newest is damaged, the previous one is used. */
const kept = 2;

/** A look at which snapshots there are, and at what is in them. */
interface Look {
  /** The newest first. */
  readonly slots: Promise<readonly number[]>;
  /** By slot: of those whose manifest somebody wanted. */
  readonly manifests: Map<number, Promise<Manifest | undefined>>;
}

/** Decides whether a snapshot was written by this log: everything in it has a digest in its manifest. */
export interface SnapshotTrust {
  readonly authenticity: Authenticity;
  /** Whether this log has MACs: a snapshot without one is then not trusted. */
  readonly isAuthentic: () => Promise<boolean>;
}

/**
 * Snapshots of one partition: one blob per view, and a manifest that is written last and contains their
 * digests. Those of `audit` also need runs, which several snapshots share. A damaged one counts as absent.
 */
export class SnapshotStore {
  readonly #blobs: BlobStore;
  readonly #partition: Partition;
  readonly #sink: LogSink;
  /** One that has just begun: views that open together share it. */
  #looking: Look | undefined;
  readonly #runs: IndexRuns;
  readonly #trust: SnapshotTrust | undefined;

  /** @param trust without it MACs are not checked, and none is made: for reading only, or copying. */
  constructor(blobs: BlobStore, partition: Partition, sink: LogSink, trust?: SnapshotTrust) {
    this.#trust = trust;
    this.#blobs = blobs;
    this.#partition = partition;
    this.#sink = sink;
    this.#runs = new IndexRuns(blobs, partition);
  }

  /**
   * `fold` is written as it is at the call. `epoch` is the compactor's own: nobody else writes under it. Once
   * stored, the fold releases what it need not hold any more. The snapshot has a MAC when the log has, or
   * with `seals`, when the caller then appends the first batch that has one: an older release ignores such a
   * snapshot.
   */
  async write(
    fold: PartitionFold,
    views: readonly EncodedView[],
    {
      floor,
      takenAt,
      epoch,
      seals = false,
    }: {
      readonly floor: number;
      readonly takenAt: string;
      readonly epoch: Revision;
      readonly seals?: boolean;
    },
  ): Promise<void> {
    const { slot, streams } = fold;
    const authenticity = seals || fold.authenticFrom !== undefined ? this.#trust?.authenticity : undefined;
    const blobs = new Map<string, Buffer>();
    const entries: Manifest['views'] = {};
    for (const { name, position, bytes, digest } of views) {
      blobs.set(this.#key(slot, `view/${name}`), bytes);
      entries[name] = { position, digest };
    }
    const about = commonOf(fold, { takenAt, floor, views: entries });
    if (streams instanceof HeapStreams) {
      const manifest = wholeManifest(about, streams);
      for (const [key, blob] of blobs) await keepOver(this.#blobs, key, blob);
      await this.#writeManifest(manifest, authenticity);
      return;
    }
    const unsettled = streams.unsettled();
    for (const [key, blob] of blobs) await keepOver(this.#blobs, key, blob);
    const runs = await this.#runs.write(unsettled, `${numbered(slot)}-${epoch}`);
    await this.#writeManifest(
      segmentedManifest(
        about,
        unsettled,
        runs.map((one) => one.ref),
      ),
      authenticity,
    );
    streams.settle({ ...unsettled, slot, runs });
  }

  async #writeManifest(manifest: Manifest, authenticity: Authenticity | undefined): Promise<void> {
    const bytes = manifestBytes(manifest, authenticity);
    const digest = hash('sha256', bytes, 'buffer');
    await keepOver(this.#blobs, this.#key(manifest.slot, 'manifest'), Buffer.concat([digest, bytes]));
  }

  /** The fold in the snapshot; undefined when its runs are gone or damaged. */
  async fold(manifest: Manifest): Promise<PartitionFold | undefined> {
    const fold = foldOf(manifest);
    return (await this.settle(fold, manifest)) ? fold : undefined;
  }

  /** Tells the fold, which has reached the snapshot's slot or further, what it need not hold itself. */
  async settle(fold: PartitionFold, manifest: Manifest): Promise<boolean> {
    if (manifest.version !== 2 || fold.streams instanceof HeapStreams) return true;
    const runs = await this.#runs.open(manifest.runs).catch(damaged);
    if (typeof runs === 'string') {
      this.#tell(manifest.slot, runs);
      return false;
    }
    fold.streams.settle({ ...manifest, runs });
    return true;
  }

  /** The intact ones whose runs are there, the newest first. */
  async *newestFirst(): AsyncGenerator<Manifest> {
    for (const slot of (await this.#slots()).reverse()) {
      const manifest = await this.#read(slot);
      if (manifest) yield manifest;
    }
  }

  /** The intact snapshots need no slots before this one; 1 when there are none. */
  async neededFrom(): Promise<number> {
    let from = 1;
    for await (const { floor } of this.newestFirst()) from = Math.max(from, floor);
    return from;
  }

  /** The newest intact snapshot of a view. */
  async view(name: string): Promise<ViewSnapshot | undefined> {
    const look = this.#look();
    for (const slot of await look.slots) {
      const views = (await this.#seen(look, slot))?.views;
      const entry = views && Object.hasOwn(views, name) ? views[name] : undefined;
      if (entry === undefined) continue;
      const bytes = await this.#blobs.get(this.#key(slot, `view/${name}`));
      if (bytes === undefined || hash('sha256', bytes, 'hex') !== entry.digest) {
        this.#tell(slot, `the state of ${name} is not what was written`);
        continue;
      }
      // Other views open at the same moment.
      await nextTurn();
      return JSON.parse(Buffer.from(bytes).toString()) as ViewSnapshot;
    }
    return undefined;
  }

  /**
   * Whoever asks until the first manifest is read shares the look: a manifest lists all streams as well, and
   * is read once for all views that open together. What is missing in a look that began a moment ago costs
   * nothing but time: two snapshots are kept, and either is enough to begin with.
   */
  #look(): Look {
    if (this.#looking !== undefined) return this.#looking;
    const slots = this.#slots().then((all) => all.reverse());
    const look: Look = { slots, manifests: new Map() };
    this.#looking = look;
    const over = (): void => {
      if (this.#looking === look) this.#looking = undefined;
    };
    slots.then(([newest]) => (newest === undefined ? undefined : this.#seen(look, newest))).then(over, over);
    return look;
  }

  #seen({ manifests }: Look, slot: number): Promise<Manifest | undefined> {
    const known = manifests.get(slot) ?? this.#read(slot);
    manifests.set(slot, known);
    return known;
  }

  /** Deletes all but the newest two. Returns the older one that stays, when there are two. */
  async prune(): Promise<Manifest | undefined> {
    const good: Manifest[] = [];
    for await (const manifest of this.newestFirst()) {
      good.push(manifest);
      if (good.length === kept) break;
    }
    const older = good.length === kept ? good.at(-1) : undefined;
    if (older === undefined) return undefined;
    for (const slot of await this.#slots()) {
      if (slot >= older.slot) continue;
      // The manifest is deleted first: the remains of a snapshot without one do not count.
      await this.#blobs.remove(this.#key(slot, 'manifest'));
      for (const key of await this.#blobs.list(this.#key(slot, ''))) await this.#blobs.remove(key);
    }
    await this.#runs.prune(good.flatMap(runsOf), numbered(older.slot));
    return older;
  }

  async #slots(): Promise<number[]> {
    const slots = new Set<number>();
    for (const key of await this.#blobs.list(`${this.#partition}/`)) slots.add(Number(key.split('/')[1]));
    return [...slots].filter(Number.isSafeInteger).sort((a, b) => a - b);
  }

  /**
   * Every snapshot, the oldest first: its manifest, or what is wrong with it. Its views are checked as well.
   */
  async *inspect(): AsyncGenerator<{ slot: number; bytes: number; found: Manifest | string }> {
    for (const slot of await this.#slots()) {
      const found = await this.#load(slot);
      if (found === undefined) continue;
      const own = (await this.#blobs.get(this.#key(slot, 'manifest')))?.length ?? 0;
      if (typeof found === 'string') yield { slot, bytes: own, found };
      else {
        const { bytes, fault } = await this.#checkViews(found);
        const runs = await this.#runs.check(runsOf(found)).catch(damaged);
        const wrong = fault ?? (typeof runs === 'string' ? runs : undefined);
        yield { slot, bytes: own + bytes + (typeof runs === 'number' ? runs : 0), found: wrong ?? found };
      }
    }
  }

  async #checkViews(manifest: Manifest): Promise<{ bytes: number; fault: string | undefined }> {
    let bytes = 0;
    let fault: string | undefined;
    for (const [name, { digest }] of Object.entries(manifest.views)) {
      const stored = await this.#blobs.get(this.#key(manifest.slot, `view/${name}`));
      bytes += stored?.length ?? 0;
      if (stored === undefined || hash('sha256', stored, 'hex') !== digest)
        fault ??= `the state of ${name} is not what was written`;
    }
    return { bytes, fault };
  }

  async #read(slot: number): Promise<Manifest | undefined> {
    const found = await this.#load(slot);
    if (found === undefined) return undefined;
    const wrong = typeof found === 'string' ? found : await this.#runs.open(runsOf(found)).catch(damaged);
    if (typeof wrong === 'string') {
      this.#tell(slot, wrong);
      return undefined;
    }
    return typeof found === 'string' ? undefined : found;
  }

  /** Undefined while it is being written, or was abandoned half way; a text describes what is wrong. */
  async #load(slot: number): Promise<Manifest | string | undefined> {
    const stored = await this.#blobs.get(this.#key(slot, 'manifest'));
    if (stored === undefined) return undefined;
    const bytes = stored.subarray(32);
    if (!hash('sha256', bytes, 'buffer').equals(stored.subarray(0, 32)))
      return 'its bytes do not have their digest';
    const text = manifestText(bytes);
    const fault = await this.#macFault(text);
    if (fault !== undefined) return fault;
    const parsed = manifestShape.safeParse(jsonOrUndefined(text.manifest));
    if (!parsed.success || parsed.data.slot !== slot || parsed.data.partition !== this.#partition)
      return 'this version does not understand it';
    return parsed.data;
  }

  async #macFault(text: ManifestText): Promise<string | undefined> {
    if (this.#trust === undefined) return undefined;
    const { authenticity, isAuthentic } = this.#trust;
    if (text.mac !== undefined) return macFaultOf(text, authenticity);
    return (await isAuthentic()) ? 'it has no MAC, and those of this log have one' : undefined;
  }

  #tell(slot: number, reason: string): void {
    this.#sink.warn('a snapshot is passed over', { partition: this.#partition, slot, reason });
  }

  #key(slot: number, part: string): string {
    return `${this.#partition}/${numbered(slot)}/${part}`;
  }
}

/** Sorts as numbers do. */
const numbered = (slot: number): string => String(slot).padStart(16, '0');

const runsOf = (manifest: Manifest): readonly RunRef[] => (manifest.version === 2 ? manifest.runs : []);

/** What is wrong with a run; rethrows errors that are not about the run. */
function damaged(e: unknown): string {
  if (isCoded(e, 'damaged')) return e.message;
  throw e;
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
