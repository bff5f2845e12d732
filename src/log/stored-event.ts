import { CodedError } from '../base/errors.ts';
import type { Cause, Fact, Position, Recorded, SealedSecret, StreamName } from './event.ts';
import { isUuidV7 } from './uuid-v7.ts';

/** Largest event, in bytes as stored, its envelope and sealed secrets included. */
export const maxEventBytes = 64 * 1024;

/** An event that is complete except for its place: revision and time are known once its batch is built. */
export interface EventDraft {
  readonly id: string;
  readonly stream: StreamName;
  /** Its JSON text up to the place where revision and time follow. */
  readonly text: string;
  /** Upper bound of its bytes as stored. */
  readonly bytes: number;
}

/** `,"revision":9007199254740991,"at":"2026-01-01T00:00:00.000Z"}` and a comma. */
const placeBytes = 64;

/** The same for every Unicode version: another process must be able to read what this one writes. */
const streamShape = /^[a-z][a-z0-9]*-[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,250}$/;
const typeShape = /^[a-z0-9_.]{1,128}$/;
const instantShape = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export const isInstant = (value: unknown): value is string =>
  typeof value === 'string' && instantShape.test(value) && !Number.isNaN(Date.parse(value));

/**
 * @throws CodedError `bad_request` for an event that could not be read back; `too_large` above 64 KB: bulk
 *   belongs in a blob store, and one oversized record must never stop a reader.
 */
export function draftEvent(
  id: string,
  stream: StreamName,
  fact: Fact,
  cause: Cause,
  sealed: Readonly<Record<string, SealedSecret>> | undefined,
): EventDraft {
  checkNames(stream, fact, cause);
  const { actor, requestId } = cause;
  const text = stringify({ id, stream, type: fact.type, actor, requestId, data: fact.data, sealed });
  const bytes = Buffer.byteLength(text) + placeBytes;
  if (bytes > maxEventBytes)
    throw new CodedError(
      'too_large',
      `an event of ${bytes} bytes (${fact.type} in ${stream}) is above the limit of ${maxEventBytes}`,
    );
  return { id, stream, text: text.slice(0, -1), bytes };
}

/** The event as it is stored. */
export const placeEvent = (draft: EventDraft, revision: number, at: string): string =>
  `${draft.text},"revision":${revision},"at":"${at}"}`;

function checkNames(stream: string, fact: Fact, cause: Cause): void {
  const refuse = (why: string): never => {
    throw new CodedError('bad_request', why);
  };
  if (!streamShape.test(stream)) refuse(`not a stream name: ${JSON.stringify(stream).slice(0, 100)}`);
  if (!typeShape.test(fact.type)) refuse(`not a fact type: ${JSON.stringify(fact.type).slice(0, 100)}`);
  if (!isPlainObject(fact.data)) refuse(`the data of ${fact.type} is not an object`);
  if (!isInstant(cause.at)) refuse(`not a moment: ${JSON.stringify(cause.at).slice(0, 100)}`);
  if (typeof cause.actor !== 'string' || typeof cause.requestId !== 'string')
    refuse('a cause has an actor and a request id');
}

function stringify(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new CodedError('bad_request', 'the data of a fact is plain JSON', { cause });
  }
}

/** Reads the events of a batch. Throws an Error with what is wrong; the caller knows where. */
export function readEvents(text: string, firstPosition: Position): Recorded[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error('the events are not a list');
  return list.map((one: unknown, i) => readEvent(one, firstPosition + i));
}

interface StoredEvent {
  readonly id: string;
  readonly stream: StreamName;
  readonly type: string;
  readonly actor: string;
  readonly requestId: string;
  readonly data: object;
  readonly revision: number;
  readonly at: string;
  readonly sealed?: Readonly<Record<string, SealedSecret>>;
}

const isText = (value: unknown): boolean => typeof value === 'string';

/** Every field of the envelope, and what it contains. */
const fields: Readonly<Record<keyof StoredEvent, (value: unknown) => boolean>> = {
  id: isUuidV7,
  stream: (value) => typeof value === 'string' && streamShape.test(value),
  type: (value) => typeof value === 'string' && typeShape.test(value),
  actor: isText,
  requestId: isText,
  data: isPlainObject,
  revision: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
  at: isInstant,
  sealed: (value) => value === undefined || isSealed(value),
};
const fieldList = Object.entries(fields);

function readEvent(one: unknown, position: Position): Recorded {
  if (!isPlainObject(one)) throw new Error(`event ${position} is not an object`);
  for (const [name, holds] of fieldList)
    if (!holds(one[name])) throw new Error(`event ${position}: bad ${name}`);
  for (const name in one)
    if (!Object.hasOwn(fields, name)) throw new Error(`event ${position}: unknown field in the envelope`);
  const { id, stream, type, actor, requestId, data, revision, at, sealed } = one as unknown as StoredEvent;
  const event = { id, stream, revision, position, cause: { at, actor, requestId }, fact: { type, data } };
  return sealed === undefined ? event : { ...event, sealed };
}

function isSealed(value: unknown): boolean {
  return (
    isPlainObject(value) &&
    Object.values(value).every(
      (one) =>
        isPlainObject(one) &&
        Object.keys(one).length === 3 &&
        ['keyId', 'nonce', 'ciphertext'].every((key) => typeof one[key] === 'string'),
    )
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
