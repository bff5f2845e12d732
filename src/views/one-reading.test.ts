import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { Wanted } from '../log/event-log.ts';
import type { Followed, Position } from '../log/event.ts';
import { oneReading } from './one-reading.ts';
import { scriptedLog } from './testing.ts';

interface Reader {
  readonly positions: Position[];
  readonly errors: unknown[];
  readonly leave: () => void;
}

const readBy = (
  reading: ReturnType<typeof oneReading>,
  after: Position,
  { id, wanted = 'newest' }: { readonly id?: string; readonly wanted?: Wanted } = {},
): Reader => {
  const [positions, errors]: [Position[], unknown[]] = [[], []];
  const subscription = reading.log.follow(after, id, wanted).subscribe({
    next: ({ position }: Followed) => positions.push(position),
    error: (e: unknown) => errors.push(e),
  });
  return {
    positions,
    errors,
    leave: () => {
      subscription.unsubscribe();
    },
  };
};

describe('one reading of a log', () => {
  it('is that of all who begin at its position', () => {
    const log = scriptedLog();
    const reading = oneReading(log);
    const [one, other, further] = [readBy(reading, 0), readBy(reading, 0), readBy(reading, 3)];
    expect(log.begun).toEqual([]);
    reading.begin();
    expect(log.begun).toEqual([0, 3]);
    log.tell({ position: 4 });
    expect([one, other, further].map(({ positions }) => positions)).toEqual([[4], [4], [4]]);
  });

  it('ends when the last of them has left, and not before', () => {
    const log = scriptedLog();
    const reading = oneReading(log);
    const [one, other] = [readBy(reading, 0), readBy(reading, 0)];
    reading.begin();
    one.leave();
    log.tell({ position: 1 });
    expect([one.positions, other.positions, log.readers.size]).toEqual([[], [1], 1]);
    other.leave();
    expect(log.readers.size).toBe(0);
  });

  it('is none where all have left before it begins', () => {
    const log = scriptedLog();
    const reading = oneReading(log);
    readBy(reading, 0).leave();
    reading.begin();
    expect(log.readers.size).toBe(0);
  });

  it('tells each of them when it fails, and is no longer that of whoever comes later, or knows the event', () => {
    const log = scriptedLog();
    const reading = oneReading(log);
    const readers = [readBy(reading, 0), readBy(reading, 0)];
    const knowing = readBy(reading, 0, { id: 'an event' });
    expect(log.begun).toEqual([0]);
    // Each event counts for it, as for none of the others.
    readBy(reading, 0, { wanted: 'all' }).leave();
    expect(log.wanted).toEqual(['newest', 'all']);
    reading.begin();
    for (const one of [...log.readers]) one.error(new CodedError('unavailable', 'away'));
    expect(readers.map(({ errors }) => errors.length)).toEqual([1, 1]);
    expect(knowing.errors).toHaveLength(1);
    readBy(reading, 0);
    readBy(reading, 0);
    expect(log.begun).toEqual([0, 0, 0, 0, 0]);
  });
});
