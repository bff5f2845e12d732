import { CodedError } from '../base/errors.ts';
import type { Recorded, Revision, StreamName } from './event.ts';
import type { PartitionReader } from './partition-reader.ts';

/** Slots that lie closer than this are read in one go, the foreign ones between them included. */
const near = 16;

/** The events of one stream after revision `after`, found by the index of its slots. */
export async function* readStream(
  reader: PartitionReader,
  stream: StreamName,
  after: Revision,
): AsyncGenerator<Recorded> {
  const index = reader.fold.streams.get(stream);
  if (index === undefined || index.revision <= after) return;
  const last = index.revision;
  const from = index.firstRevisions.findLastIndex((first) => first <= after + 1);
  if (from === -1) throw trimmed(stream, after);
  let at = after;
  for (const [first, end] of runsOf(index.slots.slice(from)))
    for await (const batch of reader.batches(first)) {
      for (const event of batch.events) {
        if (event.stream !== stream || event.revision <= at) continue;
        if (event.revision > last) return;
        if (event.revision !== at + 1) throw trimmed(stream, at);
        at = event.revision;
        yield event;
      }
      if (batch.slot >= end) break;
    }
}

/** First and last slot of each group whose members are near each other. */
function runsOf(slots: readonly number[]): (readonly [number, number])[] {
  const runs: [number, number][] = [];
  for (const slot of slots) {
    const run = runs.at(-1);
    if (run && slot - run[1] < near) run[1] = slot;
    else runs.push([slot, slot]);
  }
  return runs;
}

const trimmed = (stream: StreamName, after: Revision): CodedError =>
  new CodedError('cursor_too_old', `what ${stream} held after revision ${after} was trimmed`);
