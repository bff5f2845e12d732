import { filter, map, merge, type Observable, Subject } from 'rxjs';
import type { Partition } from '../../src/log/event.ts';
import type { Appended } from '../../src/log/slot-driver.ts';

/** Which of the slots reported by a watch are news to this handle: those that it did not write itself. */
export class News {
  /** The newest slot that was written, or is being written, here. */
  readonly #own = new Map<Partition, number>();
  readonly #doubts = new Subject<Partition>();

  /**
   * The watch may report the slot before the reply arrives. If somebody else wrote it, the hint is made up
   * for.
   */
  async writing(partition: Partition, slot: number, write: () => Promise<Appended>): Promise<Appended> {
    const before = this.#own.get(partition) ?? 0;
    this.#own.set(partition, Math.max(before, slot));
    let end: Appended | undefined;
    try {
      end = await write();
      return end;
    } finally {
      if (end?.status !== 'committed') {
        this.#own.set(partition, before);
        this.#doubts.next(partition);
      }
    }
  }

  /** Hints from the numbers of slots that anybody wrote. */
  of(partition: Partition, slots: Observable<number>): Observable<void> {
    const byOthers = slots.pipe(filter((slot) => slot > (this.#own.get(partition) ?? 0)));
    const doubts = this.#doubts.pipe(filter((one) => one === partition));
    return merge(byOthers, doubts).pipe(map(() => undefined));
  }
}
