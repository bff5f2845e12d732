import { createHash } from 'node:crypto';

/** Bytes of UTF-8 that are kept of a name. */
const nameBytes = 100;
/** Of a reason, which quotes names. */
const reasonBytes = 400;

/**
 * A text that somebody chose who has proved nothing yet (a user name, a key id, a name of a machine), fit for
 * log, audit and state: whoever comes in numbers fills nothing by it. What is longer than 100 bytes is cut,
 * and says how long it was and the first 16 digits of its SHA-256, by which two of them are distinguished.
 * Idempotent; never ends within a character.
 */
export const unprovedName = (text: string): string => shortened(text, nameBytes);

/** The same for a sentence that such a text is part of: 400 bytes. */
export const unprovedReason = (text: string): string => shortened(text, reasonBytes);

const cutMark = /… \(\d+ bytes, sha256 [0-9a-f]{16}\)$/;
/** Of what stands behind the cut. */
const mostMarkBytes = 60;

function shortened(text: string, most: number): string {
  const wellFormed = text.toWellFormed();
  const bytes = Buffer.from(wellFormed);
  if (bytes.length <= most) return wellFormed;
  if (bytes.length <= most + mostMarkBytes && cutMark.test(wellFormed)) return wellFormed;
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  let end = most;
  // Not at a byte that continues a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.subarray(0, end).toString()}… (${bytes.length} bytes, sha256 ${digest})`;
}
