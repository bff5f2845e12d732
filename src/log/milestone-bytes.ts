import { setImmediate as turn } from 'node:timers/promises';
import { hash, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';

/*
 * The bytes of one milestone: a digest of the rest (a MAC, where the log has them), one byte that says which
 * of the two it is, then lines of JSON, compressed: what it is of, then the states in pieces, so that neither
 * writing nor reading a large one keeps the event loop for long.
 */

const natural = z.number().int().nonnegative();
const milestoneHead = z.looseObject({
  version: z.literal(1),
  partition: z.string(),
  /** Of the log when it was taken; none of the states goes beyond it. */
  position: natural,
  slot: natural,
  /** Own hash of the batch in `slot`: a log that does not have it there is another one. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  takenAt: z.string(),
  /** Of each state. */
  views: z.array(z.tuple([z.string(), natural])),
});
export type MilestoneHead = z.infer<typeof milestoneHead>;

export interface Milestone {
  readonly head: MilestoneHead;
  readonly states: ReadonlyMap<string, unknown>;
}

/** State of the view with this index: whole, or more items of an array in it. */
type Piece = readonly [view: number, whole: unknown] | readonly [view: number, key: string, items: unknown[]];

const itemsOfPiece = 200;
const digestBytes = 32;
const plain = 0;
const authentic = 1;
const deflate = promisify(gzip);
const inflate = promisify(gunzip);
/** More than a large cluster has; a damaged one is not inflated without end. */
const longestText = 1024 * 1024 * 1024;

export async function milestoneBytes(
  { head, states }: Milestone,
  authenticity: Authenticity | undefined,
): Promise<Buffer> {
  const parts: Buffer[] = [Buffer.from(`${JSON.stringify(head)}\n`)];
  for (const [index, [name]] of head.views.entries())
    for (const piece of piecesOf(index, states.get(name))) {
      parts.push(Buffer.from(`${JSON.stringify(piece)}\n`));
      await turn();
    }
  const body = Buffer.concat([
    Buffer.from([authenticity === undefined ? plain : authentic]),
    await deflate(Buffer.concat(parts), { level: 1 }),
  ]);
  return Buffer.concat([digestOf(body, authenticity), body]);
}

const digestOf = (body: Buffer, authenticity: Authenticity | undefined): Buffer =>
  authenticity === undefined ? hash('sha256', body, 'buffer') : authenticity.mac('milestone', body);

/**
 * @param authenticity undefined: MACs are not checked.
 * @param isAuthentic whether this log has MACs, so that a milestone without one is not trusted.
 * @throws CodedError `damaged` with what is wrong.
 */
export async function readMilestone(
  bytes: Uint8Array,
  {
    authenticity,
    isAuthentic,
  }: { readonly authenticity: Authenticity | undefined; readonly isAuthentic: boolean },
): Promise<Milestone> {
  const [digest, body] = [
    Buffer.from(bytes.subarray(0, digestBytes)),
    Buffer.from(bytes.subarray(digestBytes)),
  ];
  const hasMac = body[0] === authentic;
  if (!hasMac && isAuthentic) throw bad('it has no MAC, and those of this log have one');
  if (!hasMac || authenticity !== undefined) {
    const own = digestOf(body, hasMac ? authenticity : undefined);
    if (digest.length !== own.length || !timingSafeEqual(digest, own))
      throw bad('its bytes are not what was written');
  }
  const text = await inflated(body.subarray(1));
  const lines = linesOf(text);
  const head = milestoneHead.safeParse(jsonOf(lines.next().value)).data;
  if (head === undefined) throw bad('this version does not understand it');
  const states = new Map<string, unknown>();
  for (const line of lines) {
    addPiece(states, head, jsonOf(line) as Piece);
    await turn();
  }
  return { head, states };
}

const bad = (why: string, cause?: unknown): CodedError => new CodedError('damaged', why, { cause });

async function inflated(bytes: Buffer): Promise<Buffer> {
  try {
    return await inflate(bytes, { maxOutputLength: longestText });
  } catch (e) {
    throw bad('it cannot be inflated', e);
  }
}

function jsonOf(line: Buffer | undefined): unknown {
  if (line === undefined) return undefined;
  try {
    return JSON.parse(line.toString());
  } catch (e) {
    throw bad('it is not JSON', e);
  }
}

function* linesOf(text: Buffer): Generator<Buffer, undefined> {
  for (let from = 0; from < text.length;) {
    const end = text.indexOf(10, from);
    yield text.subarray(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
  }
  return undefined;
}

/** States that are objects of arrays come in pieces. */
function* piecesOf(index: number, state: unknown): Generator<Piece> {
  if (!isOfArrays(state)) {
    yield [index, state];
    return;
  }
  yield [index, Object.fromEntries(Object.keys(state).map((key) => [key, []]))];
  for (const [key, items] of Object.entries(state))
    for (let from = 0; from < items.length; from += itemsOfPiece)
      yield [index, key, items.slice(from, from + itemsOfPiece)];
}

const isOfArrays = (state: unknown): state is Record<string, unknown[]> =>
  typeof state === 'object' &&
  state !== null &&
  !Array.isArray(state) &&
  Object.values(state).every(Array.isArray);

function addPiece(states: Map<string, unknown>, { views }: MilestoneHead, piece: Piece): void {
  const name = views[piece[0]]?.[0];
  if (name === undefined) throw bad('it has a state of no view');
  if (piece.length === 2) {
    states.set(name, piece[1]);
    return;
  }
  const [, key, items] = piece;
  const state = states.get(name) as Record<string, unknown[]> | undefined;
  const kept = state?.[key];
  if (kept === undefined) throw bad('it has a piece of nothing');
  for (const item of items) kept.push(item);
}
