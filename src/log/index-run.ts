import { hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { NameFilter, type Probe } from './name-filter.ts';
import { keepOver } from './keep-over.ts';
import type { BlobStore } from './slot-driver.ts';

/** A stream in the store: its name, revision, slots and their first revisions, as `StreamIndex` has them. */
export type IndexEntry = readonly [
  name: string,
  revision: number,
  slots: readonly number[],
  firstRevisions: readonly number[],
];

/** A snapshot's reference to a run that it needs. */
export const runRef = z.strictObject({
  id: z.string().min(1),
  streams: z.number().int().nonnegative(),
  /** Of its directory, which has the digests of its parts. */
  digest: z.string(),
});
export type RunRef = z.infer<typeof runRef>;

/** A part is read whole to look up one stream. */
const partChars = 128 * 1024;

const directoryShape = z.strictObject({
  version: z.literal(1),
  /** First name and digest of each, in order. */
  parts: z.array(z.tuple([z.string(), z.string()])),
});
type Directory = z.infer<typeof directoryShape>;

/**
 * Indexes of streams in the store, sorted by name, cut into parts; never changed. Only the first name of each
 * part and a filter of the names are in memory.
 */
export class IndexRun {
  readonly ref: RunRef;
  readonly #blobs: BlobStore;
  readonly #folder: string;
  readonly #parts: Directory['parts'];
  readonly #filter: NameFilter;

  constructor(blobs: BlobStore, folder: string, ref: RunRef, parts: Directory['parts'], filter: NameFilter) {
    this.#blobs = blobs;
    this.#folder = folder;
    this.ref = ref;
    this.#parts = parts;
    this.#filter = filter;
  }

  mayHold(probe: Probe): boolean {
    return this.#filter.mayHold(probe);
  }

  /** @throws CodedError `damaged` when it cannot be looked up. */
  async find(name: string): Promise<IndexEntry | undefined> {
    const at = this.#parts.findLastIndex(([first]) => first <= name);
    return at === -1 ? undefined : (await this.#part(at)).find(([one]) => one === name);
  }

  /** All of it, part by part; with a turn of the loop between. @throws CodedError `damaged` */
  async *parts(): AsyncGenerator<readonly IndexEntry[]> {
    for (let at = 0; at < this.#parts.length; at++) {
      yield await this.#part(at);
      await turn();
    }
  }

  /** Reads all of it. Returns its bytes. @throws CodedError `damaged` */
  async check(): Promise<number> {
    let bytes = this.#filter.bytes.length;
    for (let at = 0; at < this.#parts.length; at++) {
      bytes += (await this.#bytes(at)).length;
      await turn();
    }
    return bytes;
  }

  async #part(at: number): Promise<readonly IndexEntry[]> {
    return JSON.parse((await this.#bytes(at)).toString()) as IndexEntry[];
  }

  async #bytes(at: number): Promise<Buffer> {
    const bytes = await this.#blobs.get(partKey(this.#folder, at));
    if (bytes === undefined || hash('sha256', bytes, 'hex') !== this.#parts[at]?.[1])
      throw damaged(this.ref.id, `part ${at} is not what was written`);
    return Buffer.from(bytes);
  }
}

const damaged = (id: string, reason: string): CodedError =>
  new CodedError('damaged', `the index of streams ${id}: ${reason}`);

export const directoryKey = (folder: string, id: string): string => `${folder}${id}/directory`;
const partKey = (folder: string, at: number): string => `${folder}part-${String(at).padStart(8, '0')}`;

/** @throws CodedError `damaged` */
export async function openRun(blobs: BlobStore, folder: string, ref: RunRef): Promise<IndexRun> {
  const stored = await blobs.get(directoryKey(folder, ref.id));
  if (stored === undefined || hash('sha256', stored, 'hex') !== ref.digest)
    throw damaged(ref.id, 'its directory is not what was written');
  const bytes = Buffer.from(stored);
  const end = 4 + bytes.readUInt32BE(0);
  const parsed = directoryShape.safeParse(JSON.parse(bytes.subarray(4, end).toString()));
  if (!parsed.success) throw damaged(ref.id, 'this version does not understand it');
  return new IndexRun(
    blobs,
    `${folder}${ref.id}/`,
    ref,
    parsed.data.parts,
    new NameFilter(new Uint8Array(bytes.subarray(end))),
  );
}

/**
 * Writes a run. `sorted` by name, each once; `atMost` is their number at most. Its directory is written last.
 * A turn of the loop is between parts, however many there are.
 */
export async function writeRun(
  blobs: BlobStore,
  folder: string,
  id: string,
  atMost: number,
  sorted: AsyncIterable<readonly IndexEntry[]>,
): Promise<IndexRun> {
  const own = `${folder}${id}/`;
  const filter = NameFilter.for(atMost);
  const parts: Directory['parts'] = [];
  let streams = 0;
  let first = '';
  let texts: string[] = [];
  let chars = 0;
  const flush = async (): Promise<void> => {
    if (texts.length === 0) return;
    const bytes = Buffer.from(`[${texts.join(',')}]`);
    await keepOver(blobs, partKey(own, parts.length), bytes);
    parts.push([first, hash('sha256', bytes, 'hex')]);
    texts = [];
    chars = 0;
    await turn();
  };
  for await (const entries of sorted)
    for (const entry of entries) {
      const text = JSON.stringify(entry);
      if (texts.length === 0) [first] = entry;
      texts.push(text);
      chars += text.length;
      filter.add(entry[0]);
      streams++;
      if (chars >= partChars) await flush();
    }
  await flush();
  const json = Buffer.from(JSON.stringify({ version: 1, parts } satisfies Directory));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  const directory = Buffer.concat([length, json, filter.bytes]);
  await keepOver(blobs, directoryKey(folder, id), directory);
  const ref = { id, streams, digest: hash('sha256', directory, 'hex') };
  return new IndexRun(blobs, own, ref, parts, filter);
}
