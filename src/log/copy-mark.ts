import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { SlotDriver } from './slot-driver.ts';

/**
 * The mark is in a store from before the first slot is copied into it until the log there is complete. Nobody
 * opens the log until then: events appended to a part of a log could not be joined with the rest.
 */
const shape = z.strictObject({
  version: z.literal(1),
  /**
   * `copy`: the log is being moved here; `clone`: a copy of a log that continues elsewhere. `import`: into an
   * empty store; `restore`: the part of an archive that a store lacked.
   */
  kind: z.enum(['copy', 'clone', 'import', 'restore']),
  /** Of the copy; of an import the digest of its archive. */
  id: z.string(),
  from: z.string(),
  begunAt: z.string(),
  /** For a clone: the time as of which it is complete. */
  wholeAt: z.string().optional(),
});
export type CopyMark = z.infer<typeof shape>;

export const markKey = 'unfinished';

type Marked = Pick<SlotDriver, 'meta' | 'snapshots'>;

/** @throws CodedError `damaged` when the value there is not a mark. */
export async function readMark({ meta, snapshots }: Marked): Promise<CopyMark | undefined> {
  // An earlier release left it among the snapshots.
  const stored = (await meta.get(markKey)) ?? (await snapshots.get(markKey));
  if (stored === undefined) return undefined;
  const parsed = shape.safeParse(jsonOrUndefined(stored));
  if (!parsed.success)
    throw new CodedError('damaged', 'the mark of an unfinished copy in the store cannot be read');
  return parsed.data;
}

/** @throws CodedError `already_exists` when another process has left its mark in the meantime. */
export async function writeMark({ meta }: Marked, mark: Omit<CopyMark, 'version'>): Promise<void> {
  const stored = Buffer.from(JSON.stringify({ version: 1, ...mark } satisfies CopyMark));
  if ((await meta.create(markKey, stored)) !== 'created')
    throw new CodedError('already_exists', 'another copy or import into this store has just begun');
}

export async function removeMark({ meta, snapshots }: Marked): Promise<void> {
  await meta.remove(markKey);
  await snapshots.remove(markKey);
}

/**
 * Replaces the existing mark. @throws CodedError `already_exists` when another process has changed it in the
 * meantime.
 */
export async function changeMark({ meta }: Marked, mark: CopyMark): Promise<void> {
  const there = await meta.get(markKey);
  const stored = Buffer.from(JSON.stringify(mark));
  if (there === undefined || (await meta.replace(markKey, there, stored)) !== 'replaced')
    throw new CodedError('already_exists', 'another copy or import into this store has just begun or ended');
}

/** Why something else cannot be put into a store with this mark. */
export function refusedByMark({ kind, from, begunAt }: CopyMark, to: string): CodedError {
  if (kind === 'clone')
    return new CodedError(
      'already_exists',
      `${to} holds a copy of the log of ${from}, begun at ${begunAt}: name an empty store`,
    );
  const what = {
    copy: 'a move',
    import: 'the import of another archive',
    restore: 'the import of another archive',
  }[kind];
  return new CodedError(
    'already_exists',
    `${what} into ${to} (from ${from}, begun at ${begunAt}) has not ended: finish it, or name an empty store`,
  );
}

/** Waiting does not help. */
export class UnfinishedCopy extends CodedError {
  constructor(message: string) {
    super('unavailable', message);
  }
}

/**
 * @param use `reading`: a complete copy of a log that continues elsewhere may be read.
 * @throws UnfinishedCopy when the log in this store is not complete, or is a copy that must not be served.
 */
export async function refuseUnfinished(driver: Marked, use: 'living' | 'reading' = 'living'): Promise<void> {
  const mark = await readMark(driver);
  if (mark === undefined || (use === 'reading' && mark.wholeAt !== undefined)) return;
  const { kind, from, begunAt, wholeAt } = mark;
  if (wholeAt !== undefined)
    throw new UnfinishedCopy(
      `this store holds a copy of the log of ${from} as of ${wholeAt}, to be read and kept: opened here, the cluster would live twice. ` +
        'Where that one is gone for good, or this is to be a cluster of its own: tctl log promote',
    );
  const [what, command] = workOf[kind];
  throw new UnfinishedCopy(
    `the log in this store is not whole: the ${what} from ${from} begun at ${begunAt} has not ended. Run the same tctl log ${command} again`,
  );
}

const workOf = {
  copy: ['move', 'move'],
  clone: ['copy', 'copy'],
  import: ['import', 'import'],
  restore: ['restore', 'import'],
} as const satisfies Record<CopyMark['kind'], readonly [string, string]>;

function jsonOrUndefined(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
