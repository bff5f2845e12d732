import { Transform, type TransformCallback } from 'node:stream';

const maxWaiting = 32;

/**
 * Records the items found in a stream, in order, and pauses the stream while the audit does not accept more.
 */
export class EventQueue<T> {
  readonly #record: (item: T) => Promise<void>;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  /** `record` never rejects. */
  constructor(record: (item: T) => Promise<void>) {
    this.#record = record;
  }

  add(item: T): void {
    this.#waiting++;
    this.#last = this.#last
      .then(() => this.#record(item))
      .finally(() => {
        this.#waiting--;
      });
  }

  /**
   * Passes bytes on after `look` has seen them, and drops those that it refuses; waits while too many items
   * are not recorded yet. Before `look` sees a chunk, it awaits `room`, which never rejects.
   */
  gate(look: (chunk: Buffer) => boolean, room: () => Promise<void> | undefined = () => undefined): Transform {
    const pass = (chunk: Buffer, done: TransformCallback): void => {
      if (!look(chunk)) done();
      else if (this.#waiting < maxWaiting) done(null, chunk);
      else
        void this.#last.then(() => {
          done(null, chunk);
        });
    };
    return new Transform({
      transform: (chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) => {
        const full = room();
        if (full === undefined) pass(chunk, done);
        else
          void full.then(() => {
            pass(chunk, done);
          });
      },
    });
  }

  /** Resolves when everything that was added is recorded. */
  settled(): Promise<void> {
    return this.#last;
  }
}
