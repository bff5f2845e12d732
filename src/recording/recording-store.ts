import { CodedError } from '../base/errors.ts';
import type { ObjectStore } from '../base/object-store.ts';
import type { ChainEnd, Chunk } from './chunk.ts';
import { chunksIn } from './chunks-in.ts';
import { chainOf, listParts, type Part, partName, partsFolder } from './parts.ts';

/** How many recordings under way are remembered. */
const mostRemembered = 2_000;

/** The stored chunks of recordings. Several auth servers may store and read at once. */
export class RecordingStore {
  readonly #objects: ObjectStore;
  /** How far those have come that were stored here last: what this server has seen, others may have more. */
  readonly #ends = new Map<string, ChainEnd>();

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /** The address of one, for people. */
  place(sid: string): string {
    return `${this.#objects.place}/${partsFolder(sid)}`;
  }

  /** How far the chain goes, by what is stored now. */
  async end(sid: string): Promise<ChainEnd> {
    const { end } = chainOf(await listParts(this.#objects, sid));
    this.#remember(sid, end);
    return end;
  }

  /**
   * Stores those that continue what is stored; the rest is left out. @returns how far the chain goes then.
   * @throws CodedError `damaged` for chunks of another chain than the stored one.
   */
  async store(sid: string, chunks: readonly Chunk[]): Promise<ChainEnd> {
    const [first] = chunks;
    let end = this.#ends.get(sid);
    if (end === undefined || first?.head.number !== end.next) end = await this.end(sid);
    const { next, hash, isOver } = end;
    const more = chunks.filter(({ head }) => head.number >= next);
    const [continuing] = more;
    if (continuing === undefined || isOver || continuing.head.number > next) return end;
    if (!continuing.head.before.equals(hash))
      throw new CodedError('damaged', `chunk ${next} of ${sid} does not continue what is stored of it`);
    await this.#objects.put(partName(sid, more), Buffer.concat(more.map(({ bytes }) => bytes)));
    const last = more.at(-1) ?? continuing;
    const now = { next: last.head.number + 1, hash: last.hash, isOver: last.head.isLast };
    this.#remember(sid, now);
    return now;
  }

  /**
   * Chunks from `first` on, up to the end of the part that has it; none when there is none.
   * @throws CodedError `damaged`, which names the part.
   */
  async read(sid: string, first: number): Promise<readonly Chunk[]> {
    const { parts } = chainOf(await listParts(this.#objects, sid));
    const part = parts.find(({ last }) => first <= last);
    if (part === undefined) return [];
    return (await this.#chunksOf(sid, part)).filter(({ head }) => head.number >= first);
  }

  async #chunksOf(sid: string, { name, first, last }: Part): Promise<readonly Chunk[]> {
    const where = `chunks ${first} to ${last} of ${sid}, in ${this.#objects.place}/${name}`;
    const bytes = await this.#objects.get(name);
    if (bytes === undefined) throw new CodedError('damaged', `${where}, are not there any more`);
    try {
      return chunksIn(sid, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    } catch (e) {
      throw e instanceof CodedError ? new CodedError('damaged', `${where}: ${e.message}`, { cause: e }) : e;
    }
  }

  /** Deletes what is stored of it. */
  async remove(sid: string): Promise<void> {
    this.#ends.delete(sid);
    for (const { name } of await this.#objects.list(partsFolder(sid))) await this.#objects.remove(name);
  }

  #remember(sid: string, end: ChainEnd): void {
    this.#ends.delete(sid);
    if (!end.isOver) this.#ends.set(sid, end);
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > mostRemembered && oldest !== undefined) this.#ends.delete(oldest);
  }
}
