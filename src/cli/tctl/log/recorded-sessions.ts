import type { Batch } from '../../../log/batch.ts';
import type { Partition } from '../../../log/event.ts';
import { type ObjectLocation, objectLocationOf } from '../../../process/configuration/object-location.ts';
import { recordingsPlace } from '../../../process/store/open-archive.ts';
import { openObjects } from '../../../process/store/open-backend.ts';
import { RecordingStore } from '../../../recording/recording-store.ts';
import { verifyRecordings } from '../../../recording/verify-recordings.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { configurationOf } from '../connect.ts';
import { ToldRecordings } from './told-recordings.ts';

/** Undefined where nobody asked for them. */
export function recordingsOf(invocation: Invocation, io: CliIo): ObjectLocation | undefined {
  const named = invocation.text('recordings-at');
  if (named !== undefined) return objectLocationOf(named);
  return invocation.on('recordings') ? recordingsPlace(configurationOf(invocation, io)) : undefined;
}

/** The recordings of the sessions of a log that is read, compared with what it says of them. */
export class RecordedSessions {
  readonly #place: ObjectLocation | undefined;
  readonly #told = new ToldRecordings();

  /** @param place undefined: nothing is compared. */
  constructor(place: ObjectLocation | undefined) {
    this.#place = place;
  }

  readonly seen = (partition: Partition, { events }: Batch): void => {
    if (this.#place !== undefined && partition === 'audit')
      for (const { fact } of events) this.#told.take(fact);
  };

  /** Prints what was looked at. @returns what is wrong. */
  async faults(io: CliIo): Promise<readonly string[]> {
    if (this.#place === undefined) return [];
    const objects = await openObjects(this.#place, { reading: true });
    try {
      const report = await verifyRecordings(new RecordingStore(objects), this.#told.all());
      const { whole, chunks, waiting, faults } = report;
      io.stdout.write(`recordings: ${whole} whole, ${chunks} chunks, in ${objects.place}\n`);
      if (waiting.length > 0)
        io.stdout.write(`recordings: ${waiting.length} not stored yet: ${waiting.slice(0, 5).join(', ')}\n`);
      return faults.map((fault) => `${objects.place}: ${fault}`);
    } finally {
      await objects.close();
    }
  }
}
