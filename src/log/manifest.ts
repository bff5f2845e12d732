import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { instant } from '../base/time.ts';
import type { Partition, StreamName } from './event.ts';
import { runRef } from './index-run.ts';
import { PartitionFold } from './partition-fold.ts';
import type { Unsettled } from './segmented-streams.ts';
import type { HeapStreams } from './stream-index.ts';

const natural = z.number().int().nonnegative();
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

const common = {
  partition: z.string(),
  slot: natural,
  position: natural,
  /** Own hash of the batch in `slot`. When earlier slots are trimmed, the chain continues from here. */
  hash: hex32,
  lastAt: z.string(),
  compactedAt: natural,
  takenAt: instant,
  /** Slots before it are not needed by this snapshot or its views. */
  floor: natural,
  signposts: z.array(z.tuple([natural, natural, z.string()])),
  fence: z
    .strictObject({
      status: z.enum(['moved', 'abandoned', 'unknown']),
      copy: z.string(),
      reason: z.string(),
    })
    .optional(),
  views: z.record(z.string(), z.strictObject({ position: natural, digest: hex32 })),
  /** As `PartitionFold.authenticFrom`. */
  authenticFrom: natural.optional(),
};
type Index = [name: string, revision: number, slots: number[], firstRevisions: number[]];
/** `1` for an index that is sparse. */
type MarkedIndex = Index | [...Index, 1];
/** Checked by hand: there may be a million, and a schema for each would delay a start for seconds. */
const indexes = z.custom<Index[]>(
  (value) => Array.isArray(value) && value.every(isIndex),
  'not an index of streams',
);

const isNatural = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const markedIndexes = z.custom<MarkedIndex[]>(
  (value) =>
    Array.isArray(value) &&
    value.every(
      (one: unknown) =>
        Array.isArray(one) && isIndex(one.length === 5 && one[4] === 1 ? one.slice(0, 4) : one),
    ),
  'not an index of streams',
);

function isIndex(value: unknown): value is Index {
  if (!Array.isArray(value) || value.length !== 4) return false;
  const [name, revision, slots, firstRevisions] = value as unknown[];
  return (
    typeof name === 'string' &&
    isNatural(revision) &&
    Array.isArray(slots) &&
    slots.every(isNatural) &&
    Array.isArray(firstRevisions) &&
    firstRevisions.every(isNatural)
  );
}

/** Contains all streams. The previous release reads only these, and ignores others. */
const whole = z.strictObject({ version: z.literal(1), ...common, streams: indexes });
/**
 * The same where some stream is old: earlier releases would look for its events only where their kind of
 * index says, so they must pass this over.
 */
const thinnedWhole = z.strictObject({ version: z.literal(3), ...common, streams: markedIndexes });
/** For `audit`, whose beginning is never trimmed: the index of its streams is in runs. */
const segmented = z.strictObject({
  version: z.literal(2),
  ...common,
  /** Number of streams that were ever written. */
  streams: natural,
  /** Those that were written last; the runs have them as well. */
  recent: indexes,
  /** Oldest first; the newest that has a stream is right. */
  runs: z.array(runRef),
});
export const manifestShape = z.discriminatedUnion('version', [whole, segmented, thinnedWhole]);
export type Manifest = z.infer<typeof manifestShape>;
export type SegmentedManifest = z.infer<typeof segmented>;
export type Common = Omit<z.infer<typeof whole>, 'version' | 'streams'>;

/** What both versions say of the fold as it stands. */
export const commonOf = (fold: PartitionFold, rest: Pick<Common, 'takenAt' | 'floor' | 'views'>): Common => ({
  partition: fold.partition,
  slot: fold.slot,
  position: fold.position,
  hash: fold.hash.toString('hex'),
  lastAt: fold.lastAt,
  compactedAt: fold.compactedAt,
  ...rest,
  signposts: fold.signposts.map((one) => [one.slot, one.firstPosition, one.firstAt]),
  ...(fold.fence && { fence: fold.fence }),
  ...(fold.authenticFrom !== undefined && { authenticFrom: fold.authenticFrom }),
});

export function wholeManifest(about: Common, streams: HeapStreams): Manifest {
  const indexes = [...streams.entries()];
  const plain = ([name, one]: (typeof indexes)[number]): Index => [
    name,
    one.revision,
    [...one.slots],
    [...one.firstRevisions],
  ];
  const marked = (one: (typeof indexes)[number]): MarkedIndex =>
    one[1].sparse ? [...plain(one), 1] : plain(one);
  return indexes.some(([, { sparse }]) => sparse)
    ? { version: 3, ...about, streams: indexes.map(marked) }
    : { version: 1, ...about, streams: indexes.map(plain) };
}

export const segmentedManifest = (
  about: Common,
  { recent, streams }: Unsettled,
  runs: SegmentedManifest['runs'],
): Manifest => ({
  version: 2,
  ...about,
  streams,
  recent: recent.map(([name, revision, slots, firsts]) => [name, revision, [...slots], [...firsts]]),
  runs,
});

/** The fold in a snapshot, except for the part in runs. */
export function foldOf(manifest: Manifest): PartitionFold {
  const fold = new PartitionFold(manifest.partition as Partition);
  fold.slot = manifest.slot;
  fold.position = manifest.position;
  fold.hash = Buffer.from(manifest.hash, 'hex');
  fold.lastAt = manifest.lastAt;
  fold.compactedAt = manifest.compactedAt;
  fold.fence = manifest.fence;
  fold.authenticFrom = manifest.authenticFrom;
  if (manifest.version !== 2)
    for (const [name, revision, slots, firstRevisions, sparse] of manifest.streams) {
      if (slots.length !== firstRevisions.length)
        throw new CodedError('damaged', `the index of ${name} is not whole`);
      const index = { revision, slots, firstRevisions, ...(sparse === 1 && { sparse: true as const }) };
      fold.streams.restore(name as StreamName, index, manifest.slot);
    }
  for (const [slot, firstPosition, firstAt] of manifest.signposts)
    fold.erect({ slot, firstPosition, firstAt });
  return fold;
}
