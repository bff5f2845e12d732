import { hash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';
import { NameFilter } from './name-filter.ts';
import type { Place } from './slot-driver.ts';

/*
 * The index of terms is kept in chapters, one blob each. A chapter is of 65,536 events, in 16 parts of 4,096;
 * the newest has as many parts as there are, and is written again with each that is added. Of each part it
 * has a filter of the terms in it, and the place of the batch that holds its last event.
 *
 * Bytes: a digest of the rest (a MAC, where the log has them), one byte that says which of the two it is, one
 * line of JSON, then the filters one after the other (see `name-filter.ts`).
 */

export const eventsInPart = 4_096;
export const partsInChapter = 16;
export const eventsInChapter = eventsInPart * partsInChapter;

const natural = z.number().int().nonnegative();
const place = z.tuple([natural, z.string().regex(/^[0-9a-f]{64}$/)]);
const chapterHead = z.looseObject({
  version: z.literal(1),
  partition: z.string(),
  terms: z.string(),
  chapter: natural,
  /** Of the batch that holds the last event before the chapter. */
  from: place,
  /** Of each part: where its last event is, and the length of its filter. */
  parts: z
    .array(z.tuple([place, natural]))
    .min(1)
    .max(partsInChapter),
});

/** Which events a chapter is of. */
export interface ChapterId {
  readonly partition: string;
  /** The name of the terms. */
  readonly terms: string;
  /** From 0 on. */
  readonly chapter: number;
}

export interface IndexedPart {
  /** Of the batch that holds the last event of the part; by its hash, of everything before. */
  readonly end: Place;
  readonly filter: NameFilter;
}

export interface Chapter {
  readonly id: ChapterId;
  readonly from: Place;
  readonly parts: readonly IndexedPart[];
}

const digestBytes = 32;
const plain = 0;
const authentic = 1;

const digestOf = (body: Uint8Array, authenticity: Authenticity | undefined): Buffer =>
  authenticity === undefined ? hash('sha256', body, 'buffer') : authenticity.mac('terms', body);

const written = ({ slot, hash: of }: Place): [number, string] => [slot, Buffer.from(of).toString('hex')];
const placeOf = ([slot, hex]: readonly [number, string]): Place => ({ slot, hash: Buffer.from(hex, 'hex') });

/** The same chapter gives the same bytes, whoever writes it. */
export function chapterBytes(
  { id, from, parts }: Chapter,
  authenticity: Authenticity | undefined,
): Uint8Array {
  const head: z.input<typeof chapterHead> = {
    version: 1,
    ...{ partition: id.partition, terms: id.terms, chapter: id.chapter },
    from: written(from),
    parts: parts.map(({ end, filter }) => [written(end), filter.bytes.length]),
  };
  const body = Buffer.concat([
    Buffer.from([authenticity === undefined ? plain : authentic]),
    Buffer.from(`${JSON.stringify(head)}\n`),
    ...parts.map(({ filter }) => filter.bytes),
  ]);
  return Buffer.concat([digestOf(body, authenticity), body]);
}

/**
 * @param trust `authenticity` undefined: MACs are not checked. `isAuthentic`: this log has MACs, so that a
 *   chapter without one is not trusted.
 * @throws CodedError `damaged` with what is wrong.
 */
export function readChapter(
  bytes: Uint8Array,
  { partition, terms, chapter }: ChapterId,
  trust: { readonly authenticity: Authenticity | undefined; readonly isAuthentic: boolean },
): Chapter {
  const body = Buffer.from(bytes.subarray(digestBytes));
  checkDigest(bytes.subarray(0, digestBytes), body, trust);
  const end = body.indexOf(10);
  const head = chapterHead.safeParse(jsonOf(body.subarray(1, Math.max(1, end)))).data;
  if (head === undefined) throw bad('this version does not understand it');
  if (head.partition !== partition || head.terms !== terms || head.chapter !== chapter)
    throw bad('it is of other events');
  const parts: IndexedPart[] = [];
  let at = end + 1;
  for (const [where, length] of head.parts) {
    if (length === 0) throw bad('a filter is missing');
    parts.push({
      end: placeOf(where),
      filter: new NameFilter(Uint8Array.from(body.subarray(at, at + length))),
    });
    at += length;
  }
  if (at !== body.length) throw bad('its length is wrong');
  return { id: { partition, terms, chapter }, from: placeOf(head.from), parts };
}

function checkDigest(
  digest: Uint8Array,
  body: Buffer,
  {
    authenticity,
    isAuthentic,
  }: { readonly authenticity: Authenticity | undefined; readonly isAuthentic: boolean },
): void {
  const hasMac = body[0] === authentic;
  if (!hasMac && isAuthentic) throw bad('it has no MAC, and those of this log have one');
  if (hasMac && authenticity === undefined) return;
  const own = digestOf(body, hasMac ? authenticity : undefined);
  if (digest.length !== own.length || !timingSafeEqual(digest, own))
    throw bad('its bytes are not what was written');
}

const bad = (why: string, cause?: unknown): CodedError => new CodedError('damaged', why, { cause });

function jsonOf(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString());
  } catch (e) {
    throw bad('it is not JSON', e);
  }
}

/** A filter of very few bits lets most others pass. */
const leastTerms = 64;

/** Everything by which the events of a part are found. */
export function filterOf(terms: ReadonlySet<string>): NameFilter {
  const filter = NameFilter.for(Math.max(leastTerms, terms.size));
  for (const one of terms) filter.add(one);
  return filter;
}
