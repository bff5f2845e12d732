/**
 * C0, DEL and C1 controls, line and paragraph separators, marks that turn the direction of text, lone surrogates:
 * what could move the cursor of a terminal, forge a line, or show a name as another.
 */
const unprintable =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]|\p{Cs}/u;
const everyUnprintable = new RegExp(unprintable.source, 'gu');
const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escape = (c: string): string => {
  const known = short[c];
  if (known !== undefined) return known;
  const code = c.codePointAt(0) ?? 0;
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** Text of others (host names, labels, server messages) made safe for a terminal: controls shown as `\x1b`. */
export const printable = (text: string): string => text.replace(everyUnprintable, escape);

/** As the reference prints an error: line breaks stay; a message that holds other controls is quoted whole. */
export function printableMessage(text: string): string {
  const plain = text.replace(/[\n\t]/g, ' ');
  if (!unprintable.test(plain)) return text;
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replace(everyUnprintable, escape)}"`;
}
