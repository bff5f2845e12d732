/*
 * Text of others made fit for a terminal and for a log: names of hosts, labels, messages of servers. Escaped
 * is what moves a cursor, forges a line, turns the direction of writing or is not seen: C0, DEL and C1
 * controls, format characters (zero width, bidirectional), private and unassigned ones, lone surrogates,
 * separators of lines, and what a font may leave out (Default_Ignorable_Code_Point).
 */
const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const everyHidden = new RegExp(hidden.source, 'gu');
/** The same, but for line ends and tabs. */
const hiddenInLines = new RegExp(`(?!\\n|\\t|\\r\\n)${hidden.source}`, 'gu');

const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `\uXXXX` for each half of a pair: what JSON and JavaScript read back as the same character. */
const asJson = (c: string): string =>
  Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');

const asShell = (c: string): string => {
  const code = c.charCodeAt(0);
  return short[c] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : asJson(c));
};

/** One word or cell, on one line: controls shown as `\n` and `\x1b`. */
export const printable = (text: string): string => text.replace(everyHidden, asShell);

/** One line of a log, or of JSON, which stays the same JSON: controls shown as `\u001b`. */
export const printableLine = (text: string): string => text.replace(everyHidden, asJson);

/** Lines as they are, with tabs; in them, as `printableLine`. */
export const printableLines = (text: string): string => text.replace(hiddenInLines, asJson);

/**
 * As the reference prints an error: line breaks stay; a message that holds other controls is quoted whole.
 */
export function printableMessage(text: string): string {
  const plain = text.replace(/[\n\t]/g, ' ');
  if (!hidden.test(plain)) return text;
  return `"${printable(text.replaceAll('\\', '\\\\').replaceAll('"', '\\"'))}"`;
}
