import { CodedError, isCoded } from '../base/errors.ts';
import type { ObjectStore } from '../base/object-store.ts';
import { type ArchiveRecord, chainAt } from './segment-record.ts';
import type { Authenticity } from './authenticity.ts';
import type { Partition } from './event.ts';
import { BlockCache } from './segment-cache.ts';
import {
  blockOf,
  firstRead,
  headerEnd,
  type OpenSegment,
  readBlock,
  readHeader,
  type SegmentHeader,
} from './segment-format.ts';
import { readSegmentName, segmentFolder, type SegmentName } from './segment-name.ts';
import type { StoredSlot } from './slot-driver.ts';

/** Slots of a segment that is missing or not what was written: names it, and from when to when it is. */
export class SegmentFault extends CodedError {
  readonly partition: Partition;
  /** The first slot that cannot be read. */
  readonly slot: number;
  constructor(partition: Partition, slot: number, reason: string, options?: ErrorOptions) {
    super('damaged', reason, options);
    this.partition = partition;
    this.slot = slot;
  }
}

/** A segment that was listed and is not there any more. */
class SegmentGone extends SegmentFault {}
class Gone extends CodedError {
  constructor() {
    super('damaged', 'it is missing');
  }
}

/** A segment in the archive. */
export interface ListedSegment extends SegmentName {
  /** Of the whole, as it is stored. */
  readonly bytes: number;
}

export interface SegmentsOptions {
  readonly objects: ObjectStore;
  readonly partition: Partition;
  /** Checks MACs; without it they are not checked. */
  readonly authenticity: Authenticity | undefined;
  /** What the log says of its archive. Asked only where that is needed to decide. */
  readonly record: () => Promise<ArchiveRecord>;
}

/** The segments of one partition, in the order of their slots. Only reads: `archiving.ts` writes. */
export class Segments {
  readonly #options: SegmentsOptions;
  readonly #cache = new BlockCache();
  #known: readonly ListedSegment[] = [];

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  get place(): string {
    return this.#options.objects.place;
  }

  /** As they are in the archive now. Names that are not of a segment are passed over. */
  async list(): Promise<readonly ListedSegment[]> {
    const { objects, partition } = this.#options;
    const listed = await objects.list(segmentFolder(partition));
    this.#known = listed.flatMap(({ name, bytes }) => {
      const read = readSegmentName(partition, name);
      return read === undefined ? [] : [{ ...read, bytes }];
    });
    return this.#known;
  }

  /**
   * The slots from `from` up to, but not including, `before`: each, in order. Begins later where the log says
   * that the beginning was deleted.
   * @throws SegmentFault at the first slot whose segment is missing or damaged. CodedError `unavailable` when
   *   the archive does not answer.
   */
  async *read(from: number, before: number): AsyncGenerator<StoredSlot> {
    let next = from;
    let gone: string | undefined;
    while (next < before) {
      const found = await this.#find(next);
      if (found === undefined) {
        const kept = ((await this.#options.record()).deleted?.slot ?? 0) + 1;
        if (kept <= next) throw await this.#missing(next, before);
        next = kept;
        continue;
      }
      try {
        for await (const stored of this.#slots(found, next)) {
          if (stored.slot >= before) return;
          yield stored;
          next = stored.slot + 1;
        }
      } catch (e) {
        // It may have been deleted rightly since it was listed: then it is not listed any more.
        if (!(e instanceof SegmentGone) || gone === found.name) throw e;
        gone = found.name;
      }
    }
  }

  /**
   * The header of a segment.
   * @throws SegmentFault; CodedError `misconfigured` for one of another log.
   */
  async header(name: ListedSegment): Promise<SegmentHeader> {
    return (await this.#open(name)).header;
  }

  /** All slots of a segment, checked against its header. @throws as `header`. */
  slotsOf(name: ListedSegment): AsyncGenerator<StoredSlot> {
    return this.#slots(name, name.firstSlot);
  }

  async #find(slot: number): Promise<ListedSegment | undefined> {
    const of = (all: readonly ListedSegment[]): ListedSegment[] =>
      all.filter(({ firstSlot, lastSlot }) => firstSlot <= slot && slot <= lastSlot);
    const found = of(this.#known);
    const [one, ...others] = found.length > 0 ? found : of(await this.list());
    return one === undefined || others.length === 0 ? one : this.#chosen([one, ...others]);
  }

  /**
   * Several have the slot where two processes archived it at once, and where one is of a branch that was lost
   * when the store went back: the log says which it counts.
   */
  async #chosen(all: readonly ListedSegment[]): Promise<ListedSegment | undefined> {
    const record = await this.#options.record();
    const counted: ListedSegment[] = [];
    for (const one of all) {
      const known = chainAt(record, one.lastSlot);
      if (known && known.hash === (await this.#headOf(one))) counted.push(one);
    }
    return counted[0] ?? all[0];
  }

  /** Undefined for one that cannot be read. */
  async #headOf(one: ListedSegment): Promise<string | undefined> {
    try {
      return (await this.#open(one)).header.head;
    } catch (e) {
      if (isCoded(e, 'damaged') || isCoded(e, 'misconfigured')) return undefined;
      throw e;
    }
  }

  async *#slots(name: ListedSegment, from: number): AsyncGenerator<StoredSlot> {
    const open = await this.#open(name);
    const { blocks } = open.header;
    for (let index = blockOf(open.header, from); index < blocks.length; index++)
      for (const stored of await this.#block(name, open, index)) if (stored.slot >= from) yield stored;
  }

  #open(name: ListedSegment): Promise<OpenSegment> {
    return this.#cache.header(name.name, () => this.#checked(name, () => this.#readHeader(name)));
  }

  async #readHeader(name: ListedSegment): Promise<OpenSegment> {
    const { authenticity, partition } = this.#options;
    let begin = await this.#bytes(name, 0, firstRead);
    const end = headerEnd(begin);
    if (begin.length < end && begin.length >= firstRead) begin = await this.#bytes(name, 0, end);
    const open = readHeader(begin, name.bytes, authenticity);
    const { header } = open;
    const same =
      header.partition === partition &&
      header.firstSlot === name.firstSlot &&
      header.lastSlot === name.lastSlot &&
      header.from === name.from &&
      header.until === name.until;
    if (!same) throw new CodedError('damaged', 'it holds other slots than its name says');
    return open;
  }

  #block(
    name: ListedSegment,
    { header, blocksAt }: OpenSegment,
    index: number,
  ): Promise<readonly StoredSlot[]> {
    const { at, bytes } = header.blocks[index] ?? { at: 0, bytes: 0 };
    return this.#cache.block(`${name.name} ${index}`, () =>
      this.#checked(name, async () =>
        readBlock(header, index, await this.#bytes(name, blocksAt + at, bytes)),
      ),
    );
  }

  async #bytes({ name }: SegmentName, from: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#options.objects.get(name, { from, length });
    if (bytes !== undefined) return bytes;
    this.#known = this.#known.filter((one) => one.name !== name);
    throw new Gone();
  }

  async #checked<T>(name: SegmentName, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw isCoded(e, 'misconfigured') ? this.#ofAnother(name, e) : e;
      this.#cache.forget(name.name);
      const { partition, firstSlot, lastSlot } = { ...name, ...this.#options };
      const Fault = e instanceof Gone ? SegmentGone : SegmentFault;
      throw new Fault(
        partition,
        firstSlot,
        `what is in slots ${firstSlot} to ${lastSlot} of ${partition}, from ${name.from} to ${name.until}, cannot be read: the segment ${name.name} in ${this.place}: ${e.message}`,
        { cause: e },
      );
    }
  }

  #ofAnother({ name }: SegmentName, e: CodedError): CodedError {
    return new CodedError('misconfigured', `the segment ${name} in ${this.place}: ${e.message}`, {
      cause: e,
    });
  }

  /** Between which times, as far as its neighbours tell. */
  async #missing(slot: number, before: number): Promise<SegmentFault> {
    const all = await this.list();
    const earlier = all.findLast((one) => one.lastSlot < slot);
    const later = all.find((one) => one.firstSlot > slot);
    const last = Math.min(before, later?.firstSlot ?? before) - 1;
    const { partition } = this.#options;
    const [since, until] = [earlier?.until ?? 'its beginning', later?.from ?? 'what the store still has'];
    return new SegmentFault(
      partition,
      slot,
      `what is in slots ${slot} to ${last} of ${partition}, between ${since} and ${until}, is in no segment in ${this.place}: a segment is missing`,
    );
  }
}
