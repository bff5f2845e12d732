import type { ControlSequence } from './control-parser.ts';

/*
 * What of a recording reaches a terminal. A sequence is on this list when all it can do is to change the
 * picture. Everything else is left out, known or not: what answers (DA, DSR, DECRQM, ENQ), titles, clipboard,
 * palette and links (OSC), DCS and other strings, windows (XTWINOPS), printing (MC), what changes keys, mouse
 * and pasting, what erases the scrollback, which is not of this session.
 */

const codes = (text: string): ReadonlySet<number> => new Set(Buffer.from(text, 'latin1'));

/** BEL, BS, HT, LF, VT, FF, CR, SO, SI. */
const controls = codes('\x07\b\t\n\v\f\r\x0e\x0f');
export const isAllowedControl = (byte: number): boolean => controls.has(byte);

/** DECSC, DECRC, IND, NEL, HTS, RI, RIS. */
const escapes = codes('78DEHMc');
/** Final bytes of designating a character set: graphics, British, ASCII. */
const sets = codes('0AB');

/** @param intermediate 0: none. */
export function isAllowedEscape(intermediate: number, final: number): boolean {
  if (intermediate === 0) return escapes.has(final);
  if (intermediate === 0x23) return final === 0x38; // DECALN
  return (intermediate === 0x28 || intermediate === 0x29) && sets.has(final);
}

/** Cursor, erasing, inserting, scrolling, tabs, margins, SGR. `b` repeats, `s` and `u` are the cursor's. */
const plain = codes('@ABCDEFGHIJKLMPSTXZ`abdefgmrsu');
/** Of `ESC [ ? h`: reverse picture, origin, wrapping, cursor shown, the alternate screen. */
const modes: ReadonlySet<number> = new Set([5, 6, 7, 25, 47, 1047, 1048, 1049]);
/** A character is repeated at most so many times: more than a screen has of columns. */
export const mostRepeats = 4_096;
const [setMode, resetMode, eraseScreen, scrollDown, repeat] = [0x68, 0x6c, 0x4a, 0x54, 0x62];
const [sgr, saveCursor, decPrivate, insertMode] = [0x6d, 0x73, 0x3f, 4];

/** The parameters with which it is allowed; undefined: it is not. */
export function allowedParameters(sequence: ControlSequence): readonly number[] | undefined {
  const { prefix, intermediate, final, params } = sequence;
  if (intermediate !== 0) return isSoftReset(sequence) ? params : undefined;
  const isMode = final === setMode || final === resetMode;
  if (prefix !== 0)
    return prefix === decPrivate && isMode ? some(params.filter((one) => modes.has(one))) : undefined;
  if (isMode) return some(params.filter((one) => one === insertMode));
  return plain.has(final) ? allowedPlain(sequence) : undefined;
}

function allowedPlain({ final, params, colons }: ControlSequence): readonly number[] | undefined {
  if (colons !== 0 && final !== sgr) return undefined;
  switch (final) {
    case eraseScreen:
      return some(params.filter((one) => one <= 2));
    case scrollDown:
      return params.length === 1 ? params : undefined; // else it is highlighting with the mouse
    case saveCursor:
      return params.length === 1 && params[0] === -1 ? params : undefined; // else it is margins at the sides
    case repeat:
      return [Math.min(params[0] ?? 1, mostRepeats)];
    default:
      return params;
  }
}

const isSoftReset = ({ prefix, intermediate, final }: ControlSequence): boolean =>
  prefix === 0 && intermediate === 0x21 && final === 0x70;

const some = (params: readonly number[]): readonly number[] | undefined =>
  params.length > 0 ? params : undefined;
