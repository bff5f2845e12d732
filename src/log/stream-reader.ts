import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { Position, Recorded, Revision, StreamName } from './event.ts';
import type { PartitionReader } from './partition-reader.ts';
import { conditionError } from './reader-condition.ts';
import { slotBeforeMoment } from './slot-search.ts';
import { indexSpan, type StreamIndex } from './stream-index.ts';

/** The events of one stream after revision `after`, found by the index of its slots. */
export async function* readStream(
  reader: PartitionReader,
  stream: StreamName,
  after: Revision,
): AsyncGenerator<Recorded> {
  await reader.fold.recall([stream]);
  const index = reader.fold.streams.get(stream);
  if (index === undefined || index.revision <= after) return;
  const last = index.revision;
  const from = index.firstRevisions.findLastIndex((first) => first <= after + 1);
  if (from === -1) throw trimmed(stream, after);
  let at = after;
  for (const [first, end] of runsOf(index, from))
    for await (const batch of reader.batches(first)) {
      for (const event of batch.events) {
        if (event.stream !== stream || event.revision <= at) continue;
        if (event.revision !== at + 1) throw trimmed(stream, at);
        at = event.revision;
        yield event;
        if (at === last) return;
      }
      if (batch.slot >= end) break;
    }
  throw trimmed(stream, at);
}

/** The ranges of slots that contain the stream's events, from this entry on; adjacent ranges are joined. */
function runsOf(index: StreamIndex, from: number): (readonly [number, number])[] {
  const runs: [number, number][] = [];
  for (const [slot, end] of index.sparse ? sparseRanges(index, from) : denseRanges(index, from)) {
    const run = runs.at(-1);
    if (run && slot <= run[1] + 1) run[1] = end;
    else runs.push([slot, end]);
  }
  return runs;
}

const denseRanges = ({ slots }: StreamIndex, from: number): (readonly [number, number])[] =>
  slots.slice(from).map((slot) => [slot, slot + indexSpan - 1]);

/**
 * Up to the next entry; an entry that stands for one event is the place of that. The last is where the stream
 * ends, or, where the index was a dense one once, up to a span before that: where all of it was trimmed the
 * log is not searched to its end.
 */
function sparseRanges({ slots, firstRevisions }: StreamIndex, from: number): (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (let i = from; i < slots.length; i++) {
    const slot = slots[i] ?? 1;
    const events = (firstRevisions[i + 1] ?? Number.POSITIVE_INFINITY) - (firstRevisions[i] ?? 1);
    ranges.push([slot, events === 1 ? slot : (slots[i + 1] ?? slot + indexSpan) - 1]);
  }
  return ranges;
}

const trimmed = (stream: StreamName, after: Revision): CodedError =>
  new CodedError('cursor_too_old', `what ${stream} held after revision ${after} was trimmed`);

/** See `EventLog.history`. */
export async function* readHistory(
  reader: PartitionReader,
  after: Position,
  upTo = Number.POSITIVE_INFINITY,
): AsyncGenerator<Recorded> {
  const isSeen = upTo <= reader.fold.position;
  if (!isSeen)
    await reader.catchUp().catch((e: unknown) => {
      if ((reader.condition?.status ?? 'went back') === 'went back') throw e;
    });
  const { condition, fold } = reader;
  yield* reader.events(after, Math.min(fold.position, upTo));
  if (condition !== undefined && !isSeen) throw conditionError(condition);
}

/** See `EventLog.positionBefore`, of what is folded. */
export async function positionBefore(reader: PartitionReader, at: Instant): Promise<Position> {
  let position: Position | undefined;
  for await (const batch of reader.batches(await slotBeforeMoment(reader, at))) {
    for (const event of batch.events) {
      if (event.cause.at >= at) return position ?? event.position - 1;
      position = event.position;
    }
  }
  return position ?? 0;
}
