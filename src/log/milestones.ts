import type { LogSink } from '../base/log-sink.ts';
import { isCoded } from '../base/errors.ts';
import type { MilestoneStates, ViewState } from './event-log.ts';
import type { Partition, Position } from './event.ts';
import { joins } from './joins.ts';
import { keepOver } from './keep-over.ts';
import { type Milestone, milestoneBytes, type MilestoneHead, readMilestone } from './milestone-bytes.ts';
import type { SlotDriver } from './slot-driver.ts';
import type { SnapshotTrust } from './snapshot-store.ts';

/** Where the milestones of a partition are, beside its snapshots. An older release leaves them alone. */
export const milestonesFolder = (partition: Partition): string => `${partition}-milestones/`;

/** Events between two of them, at least, in a log of any length. */
export const leastApart = 20_000;
/** At most so many are kept: in a longer log they are further apart. */
export const mostKept = 50;

/** How far apart they are in a log of this length: the same distance over all of it (RFD 40). */
const distanceIn = (position: Position): number =>
  leastApart * 2 ** Math.max(0, Math.ceil(Math.log2(position / (leastApart * mostKept))));

/**
 * States of views at earlier positions, which are kept for good: from the nearest one before it, what was
 * true at any position is folded in bounded time. They only save time: one that is damaged is passed over.
 */
export class Milestones {
  readonly #driver: SlotDriver;
  readonly #partition: Partition;
  readonly #sink: LogSink;
  readonly #trust: SnapshotTrust | undefined;

  constructor(driver: SlotDriver, partition: Partition, sink: LogSink, trust?: SnapshotTrust) {
    this.#driver = driver;
    this.#partition = partition;
    this.#sink = sink;
    this.#trust = trust;
  }

  /**
   * Keeps these states, where the last milestone is far enough back, and removes some where there are too
   * many.
   * @param seals the caller then appends the first batch that has a MAC.
   */
  async keep(
    views: readonly ViewState[],
    about: Pick<MilestoneHead, 'position' | 'slot' | 'hash' | 'takenAt'>,
    seals: boolean,
  ): Promise<void> {
    if (views.length === 0) return;
    const known = await this.positions();
    const last = known.filter((one) => one <= about.position).at(-1) ?? 0;
    // After the store went back: they are of what is not on the log any more.
    for (const position of known.filter((one) => one > about.position)) await this.#remove(position);
    if (about.position - last < distanceIn(about.position)) return;
    const milestone: Milestone = {
      head: {
        ...{ version: 1, partition: this.#partition, ...about },
        views: views.map(({ name, position }) => [name, position]),
      },
      states: new Map(views.map(({ name, state }) => [name, state])),
    };
    const isAuthentic = seals || (await this.#trust?.isAuthentic()) === true;
    const bytes = await milestoneBytes(milestone, isAuthentic ? this.#trust?.authenticity : undefined);
    await keepOver(this.#driver.snapshots, this.#key(about.position), bytes);
    await this.#thinOut(about.position);
  }

  /** The newest sound one that is not after `position`. */
  async before(position: Position): Promise<MilestoneStates | undefined> {
    for (const at of (await this.positions()).filter((one) => one <= position).reverse()) {
      const found = await this.#read(at);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** In order. */
  async positions(): Promise<readonly Position[]> {
    const folder = milestonesFolder(this.#partition);
    return (await this.#driver.snapshots.list(folder))
      .map((key) => Number(key.slice(folder.length)))
      .filter(Number.isSafeInteger)
      .sort((a, b) => a - b);
  }

  async #thinOut(position: Position): Promise<void> {
    const known = await this.positions();
    if (known.length <= mostKept) return;
    // Snapshots are not taken at round numbers: a little less than the distance is far enough.
    const apart = distanceIn(position) * 0.75;
    let kept = 0;
    for (const one of known.slice(0, -1)) {
      if (one - kept >= apart) kept = one;
      else await this.#remove(one);
    }
  }

  async #read(position: Position): Promise<MilestoneStates | undefined> {
    const stored = await this.#driver.snapshots.get(this.#key(position));
    if (stored === undefined) return undefined;
    const read = await this.#unpacked(stored);
    const fault = typeof read === 'string' ? read : await this.#misplaced(read.head, position);
    if (typeof read !== 'string' && fault === undefined)
      return read.head.views.map(([name, at]) => ({ name, position: at, state: read.states.get(name) }));
    this.#sink.warn('a milestone of the log is passed over', {
      partition: this.#partition,
      position,
      reason: fault,
    });
    return undefined;
  }

  async #misplaced(head: MilestoneHead, position: Position): Promise<string | undefined> {
    if (head.partition !== this.#partition || head.position !== position) return 'it is of another place';
    if (await joins(this.#driver, head)) return undefined;
    return 'the store does not hold the batch it was taken at';
  }

  /** Or what is wrong with it. */
  async #unpacked(stored: Uint8Array): Promise<Milestone | string> {
    const isAuthentic = (await this.#trust?.isAuthentic()) ?? false;
    try {
      return await readMilestone(stored, { authenticity: this.#trust?.authenticity, isAuthentic });
    } catch (e) {
      if (isCoded(e, 'damaged')) return e.message;
      throw e;
    }
  }

  #remove(position: Position): Promise<void> {
    return this.#driver.snapshots.remove(this.#key(position));
  }

  #key(position: Position): string {
    return `${milestonesFolder(this.#partition)}${String(position).padStart(16, '0')}`;
  }
}
