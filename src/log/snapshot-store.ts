import { hash } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { instant } from '../base/time.ts';
import type { ViewSnapshot, ViewState } from './event-log.ts';
import type { Partition, StreamName } from './event.ts';
import { PartitionFold } from './partition-fold.ts';
import type { BlobStore } from './slot-driver.ts';

const natural = z.number().int().nonnegative();
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

const manifestShape = z.strictObject({
  version: z.literal(1),
  partition: z.string(),
  slot: natural,
  position: natural,
  /** Own hash of the batch in `slot`. When what precedes is trimmed, the chain goes on from here. */
  hash: hex32,
  lastAt: z.string(),
  compactedAt: natural,
  takenAt: instant,
  /** Slots before it are not needed by this snapshot or its views. */
  floor: natural,
  streams: z.array(z.tuple([z.string(), natural, z.array(natural), z.array(natural)])),
  signposts: z.array(z.tuple([natural, natural, z.string()])),
  fence: z
    .strictObject({
      status: z.enum(['moved', 'abandoned', 'unknown']),
      copy: z.string(),
      reason: z.string(),
    })
    .optional(),
  views: z.record(z.string(), z.strictObject({ position: natural, digest: hex32 })),
});
export type Manifest = z.infer<typeof manifestShape>;

/** How many are kept: should the newest be damaged, the one before it serves. */
const kept = 2;

/**
 * Snapshots of one partition: one blob per view, and a manifest that is written last and carries their digests.
 * A damaged one counts as absent.
 */
export class SnapshotStore {
  readonly #blobs: BlobStore;
  readonly #partition: Partition;
  readonly #sink: LogSink;

  constructor(blobs: BlobStore, partition: Partition, sink: LogSink) {
    this.#blobs = blobs;
    this.#partition = partition;
    this.#sink = sink;
  }

  /** `fold` is written as it stands at the call. */
  async write(
    fold: PartitionFold,
    views: readonly ViewState[],
    floor: number,
    takenAt: string,
  ): Promise<void> {
    const { slot } = fold;
    const blobs = new Map<string, Buffer>();
    const entries: Manifest['views'] = {};
    for (const { name, position, state, carried } of views) {
      const bytes = Buffer.from(JSON.stringify({ position, state, carried }));
      blobs.set(this.#key(slot, `view/${name}`), bytes);
      entries[name] = { position, digest: hash('sha256', bytes, 'hex') };
    }
    const manifest: Manifest = {
      version: 1,
      partition: this.#partition,
      slot,
      position: fold.position,
      hash: fold.hash.toString('hex'),
      lastAt: fold.lastAt,
      compactedAt: fold.compactedAt,
      takenAt,
      floor,
      streams: [...fold.streams].map(([name, one]) => [name, one.revision, one.slots, one.firstRevisions]),
      signposts: fold.signposts.map((one) => [one.slot, one.firstPosition, one.firstAt]),
      ...(fold.fence && { fence: fold.fence }),
      views: entries,
    };
    const bytes = Buffer.from(JSON.stringify(manifest));
    for (const [key, blob] of blobs) await this.#blobs.put(key, blob);
    const digest = hash('sha256', bytes, 'buffer');
    await this.#blobs.put(this.#key(slot, 'manifest'), Buffer.concat([digest, bytes]));
  }

  /** Those that read back whole, the newest first. */
  async *newestFirst(): AsyncGenerator<Manifest> {
    for (const slot of (await this.#slots()).reverse()) {
      const manifest = await this.#read(slot);
      if (manifest) yield manifest;
    }
  }

  /** The newest stored state of a view that reads back whole. */
  async view(name: string): Promise<ViewSnapshot | undefined> {
    for await (const manifest of this.newestFirst()) {
      const entry = Object.hasOwn(manifest.views, name) ? manifest.views[name] : undefined;
      if (entry === undefined) continue;
      const bytes = await this.#blobs.get(this.#key(manifest.slot, `view/${name}`));
      if (bytes === undefined || hash('sha256', bytes, 'hex') !== entry.digest) {
        this.#tell(manifest.slot, `the state of ${name} is not what was written`);
        continue;
      }
      return JSON.parse(Buffer.from(bytes).toString()) as ViewSnapshot;
    }
    return undefined;
  }

  /** Deletes all but the newest two. Answers the older one that stays, when there are two. */
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
      // The manifest goes first: what is left of a snapshot without one is not a snapshot.
      await this.#blobs.delete(this.#key(slot, 'manifest'));
      for (const key of await this.#blobs.list(this.#key(slot, ''))) await this.#blobs.delete(key);
    }
    return older;
  }

  async #slots(): Promise<number[]> {
    const slots = new Set<number>();
    for (const key of await this.#blobs.list(`${this.#partition}/`)) slots.add(Number(key.split('/')[1]));
    return [...slots].filter(Number.isSafeInteger).sort((a, b) => a - b);
  }

  /** Every snapshot, the oldest first: its manifest, or what is wrong with it. Its views are checked as well. */
  async *inspect(): AsyncGenerator<{ slot: number; bytes: number; found: Manifest | string }> {
    for (const slot of await this.#slots()) {
      const found = await this.#load(slot);
      if (found === undefined) continue;
      const own = (await this.#blobs.get(this.#key(slot, 'manifest')))?.length ?? 0;
      if (typeof found === 'string') yield { slot, bytes: own, found };
      else {
        const { bytes, fault } = await this.#checkViews(found);
        yield { slot, bytes: own + bytes, found: fault ?? found };
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
    if (typeof found !== 'string') return found;
    this.#tell(slot, found);
    return undefined;
  }

  /** Undefined while it is being written, or given up half way; a text says what is wrong. */
  async #load(slot: number): Promise<Manifest | string | undefined> {
    const stored = await this.#blobs.get(this.#key(slot, 'manifest'));
    if (stored === undefined) return undefined;
    const bytes = stored.subarray(32);
    if (!hash('sha256', bytes, 'buffer').equals(stored.subarray(0, 32)))
      return 'its bytes do not have their digest';
    const parsed = manifestShape.safeParse(jsonOrUndefined(bytes));
    if (!parsed.success || parsed.data.slot !== slot || parsed.data.partition !== this.#partition)
      return 'this version does not understand it';
    return parsed.data;
  }

  #tell(slot: number, reason: string): void {
    this.#sink.warn('a snapshot is passed over', { partition: this.#partition, slot, reason });
  }

  #key(slot: number, part: string): string {
    return `${this.#partition}/${String(slot).padStart(16, '0')}/${part}`;
  }
}

function jsonOrUndefined(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}

/** The fold that a snapshot holds. */
export function foldOf(manifest: Manifest): PartitionFold {
  const fold = new PartitionFold(manifest.partition as Partition);
  fold.slot = manifest.slot;
  fold.position = manifest.position;
  fold.hash = Buffer.from(manifest.hash, 'hex');
  fold.lastAt = manifest.lastAt;
  fold.compactedAt = manifest.compactedAt;
  fold.fence = manifest.fence;
  for (const [name, revision, slots, firstRevisions] of manifest.streams) {
    if (slots.length !== firstRevisions.length)
      throw new CodedError('damaged', `the index of ${name} is not whole`);
    fold.streams.set(name as StreamName, { revision, slots, firstRevisions });
  }
  for (const [slot, firstPosition, firstAt] of manifest.signposts)
    fold.signposts.push({ slot, firstPosition, firstAt });
  return fold;
}
