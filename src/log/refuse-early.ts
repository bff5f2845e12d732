import type { World } from '../base/world.ts';
import { type Appender, conflict } from './appender.ts';
import { draftWrites, newIds } from './drafts.ts';
import type { Write } from './event-log.ts';
import type { Cause } from './event.ts';
import { fenceError } from './fence.ts';
import type { PartitionReader } from './partition-reader.ts';

interface Parts {
  readonly reader: PartitionReader;
  readonly appender: Appender;
  readonly world: World;
}

/** Appends that will visibly fail are refused before anything is written to the vault. */
export async function refuseEarly(
  { reader, appender, world }: Parts,
  writes: readonly Write[],
  cause: Cause,
): Promise<void> {
  if (reader.fold.fence) await reader.catchUp();
  if (reader.fold.fence) throw fenceError(reader.fold.fence);
  if (reader.condition) await reader.catchUp();
  const count = writes.reduce((sum, { facts }) => sum + facts.length, 0);
  const events = draftWrites(writes, cause, newIds(world, count, undefined)).flatMap((one) => one.events);
  appender.check(
    events.reduce((sum, one) => sum + one.bytes, 0),
    events.length,
  );
  for (const { stream, expected } of writes) {
    await reader.fold.recall([stream]);
    const known = reader.fold.revision(stream);
    if (expected < known) throw conflict(stream, expected, known);
  }
}
