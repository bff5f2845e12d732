import { createHash } from 'node:crypto';
import { uuidOf } from '../base/uuid-of.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import {
  type AuditEvent,
  completed,
  type ParsedAuditEvent,
  parsedAuditEvent,
} from '../domain/audit-event.ts';
import { jsonOrUndefined } from './wire-errors.ts';

/** In bytes of the JSON text, as the log counts them. */
export interface EventBounds {
  readonly event: number;
  /** For one text in it. */
  readonly text: number;
}

/** No text is cut to less than this. */
const leastText = 256;
/** The share of a cut text that is kept from its end, in case padding in front hides the important part. */
const tailShare = 0.25;
/** Fields that identify the event. */
const keptWhole: ReadonlySet<string> = new Set(['event', 'code', 'uid', 'time', 'cut']);

export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * The event within these bounds: texts that are too long are cut in the middle, and `cut` has by the path of
 * each how many bytes it had, and their SHA-256. Undefined when no cutting of texts makes it fit.
 */
export function fitEvent(event: ParsedAuditEvent, bounds: EventBounds): ParsedAuditEvent | undefined {
  if (jsonBytes(event) <= bounds.text) return event;
  for (let text = bounds.text; text >= leastText; text = Math.floor(text / 2)) {
    const cut: Record<string, unknown> = {};
    const fitted = cutTexts(event, { most: text, path: '', cut });
    const known = event['cut'] ?? {};
    const said = { ...cut, ...known };
    const whole = Object.keys(said).length === 0 ? fitted : { ...fitted, cut: said };
    if (jsonBytes(whole) <= bounds.event) return whole;
  }
  return undefined;
}

interface Cutting {
  readonly most: number;
  readonly path: string;
  readonly cut: Record<string, unknown>;
}

function cutTexts<T extends object>(value: T, { most, path, cut }: Cutting): T {
  const entries = Object.entries(value).map(([key, one]: [string, unknown]) => {
    const at = path === '' ? key : `${path}.${key}`;
    if (path === '' && keptWhole.has(key)) return [key, one];
    if (typeof one === 'object' && one !== null) return [key, cutTexts(one, { most, path: at, cut })];
    if (typeof one !== 'string' || jsonBytes(one) - 2 <= most) return [key, one];
    cut[at] = { bytes: Buffer.byteLength(one), sha256: sha256(one) };
    return [key, cutText(one, most)];
  });
  return (Array.isArray(value) ? entries.map(([, one]) => one) : Object.fromEntries(entries)) as T;
}

/** Beginning and end of a text, together at most `most` bytes. */
function cutText(text: string, most: number): string {
  const mark = ' … ';
  const tail = Math.floor(most * tailShare);
  const head = most - tail - Buffer.byteLength(mark);
  return `${longest(text, head, (n) => text.slice(0, n))}${mark}${longest(text, tail, (n) => text.slice(text.length - n))}`;
}

/**
 * The longest part that has at most `most` bytes. No character is split: half of a surrogate pair takes more
 * bytes in JSON than the whole.
 */
function longest(text: string, most: number, part: (units: number) => string): string {
  let [fits, over] = [0, Math.min(text.length, most) + 1];
  while (over - fits > 1) {
    const middle = (fits + over) >> 1;
    if (jsonBytes(part(middle)) - 2 <= most) fits = middle;
    else over = middle;
  }
  return part(fits);
}

/**
 * The replacement for an event that cannot be stored: which one it was, how large, and its hash. Made twice,
 * it is the same event. `text` is the content of the spool, whatever it is.
 */
export function gapFor(text: string, reason: string, now: string): ParsedAuditEvent {
  const known = parsedAuditEvent.safeParse(jsonOrUndefined(text)).data;
  const digest = sha256(text);
  const { event: about, time } = known ?? { event: 'unknown', time: now };
  const body = catalogue.gap({
    about,
    count: 1,
    since: time,
    message: `an event could not be stored: ${short(reason)}`,
    ...textsOf(known, ['user', 'login']),
    lost: {
      ...textsOf(known, ['code', 'uid', 'sid']),
      bytes: Buffer.byteLength(text),
      sha256: digest,
    },
  });
  return completed(body, { uid: uuidOf(`gap ${known?.uid ?? digest}`), time, ei: 0 });
}

const short = (text: string): string => longest(text, leastText, (n) => text.slice(0, n));

function textsOf(event: AuditEvent | undefined, keys: readonly string[]): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const key of keys) {
    const value = event?.[key];
    if (typeof value === 'string') texts[key] = short(value);
  }
  return texts;
}
