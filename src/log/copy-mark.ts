import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { SlotDriver } from './slot-driver.ts';

/**
 * Lies in a store from before the first slot is copied into it until the log there is whole. Nobody opens the log
 * meanwhile: what were appended to a part of a log could not be joined with the rest.
 */
const shape = z.strictObject({
  version: z.literal(1),
  /** `import` into an empty store; `restore`: what a store lacked of an archive. */
  kind: z.enum(['copy', 'import', 'restore']),
  /** Of the copy; of an import the digest of its archive. */
  id: z.string(),
  from: z.string(),
  begunAt: z.string(),
});
export type CopyMark = z.infer<typeof shape>;

export const markKey = 'unfinished';

type Marked = Pick<SlotDriver, 'meta' | 'snapshots'>;

/** @throws CodedError `damaged` when what lies there is not a mark. */
export async function readMark({ meta, snapshots }: Marked): Promise<CopyMark | undefined> {
  // An earlier release left it among the snapshots.
  const stored = (await meta.get(markKey)) ?? (await snapshots.get(markKey));
  if (stored === undefined) return undefined;
  const parsed = shape.safeParse(jsonOrUndefined(stored));
  if (!parsed.success)
    throw new CodedError('damaged', 'the mark of an unfinished copy in the store cannot be read');
  return parsed.data;
}

/** @throws CodedError `already_exists` when another has left its mark meanwhile. */
export async function writeMark({ meta }: Marked, mark: Omit<CopyMark, 'version'>): Promise<void> {
  const stored = Buffer.from(JSON.stringify({ version: 1, ...mark } satisfies CopyMark));
  if ((await meta.create(markKey, stored)) !== 'created')
    throw new CodedError('already_exists', 'another copy or import into this store has just begun');
}

export async function removeMark({ meta, snapshots }: Marked): Promise<void> {
  await meta.remove(markKey);
  await snapshots.remove(markKey);
}

/** No waiting mends it. */
export class UnfinishedCopy extends CodedError {
  constructor(message: string) {
    super('unavailable', message);
  }
}

/** @throws UnfinishedCopy when the log in this store is not whole. */
export async function refuseUnfinished(driver: Marked): Promise<void> {
  const mark = await readMark(driver);
  if (mark === undefined) return;
  const { kind, from, begunAt } = mark;
  throw new UnfinishedCopy(
    `the log in this store is not whole: the ${kind} from ${from} begun at ${begunAt} has not ended. Run the same tctl log ${kind === 'copy' ? kind : 'import'} again`,
  );
}

function jsonOrUndefined(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
