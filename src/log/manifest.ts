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
/** Checked by hand: there may be a million, and a schema for each would delay a start for seconds. */
const indexes = z.custom<Index[]>(
  (value) => Array.isArray(value) && value.every(isIndex),
  'not an index of streams',
);

const isNatural = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

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
export const manifestShape = z.discriminatedUnion('version', [whole, segmented]);
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

export const wholeManifest = (about: Common, streams: HeapStreams): Manifest => ({
  version: 1,
  ...about,
  streams: Array.from(streams.entries(), ([name, one]) => [
    name,
    one.revision,
    [...one.slots],
    [...one.firstRevisions],
  ]),
});

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
  if (manifest.version === 1)
    for (const [name, revision, slots, firstRevisions] of manifest.streams) {
      if (slots.length !== firstRevisions.length)
        throw new CodedError('damaged', `the index of ${name} is not whole`);
      fold.streams.restore(name as StreamName, { revision, slots, firstRevisions }, manifest.slot);
    }
  for (const [slot, firstPosition, firstAt] of manifest.signposts)
    fold.erect({ slot, firstPosition, firstAt });
  return fold;
}
