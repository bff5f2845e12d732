/** One word for sh, quoted only when it must be. */
export const shellQuote = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/**
 * One word for a remote shell in which `*`, `?`, `[…]`, `{…}` and a leading `~` keep their meaning, and
 * nothing else does: a file name can be a pattern, never a command.
 */
export const shellQuoteGlob = (word: string): string =>
  word.replace(/[^A-Za-z0-9_@%+=:,./~*?[\]{}^!\u0080-\uffff-]/gu, (c) => (c === '\n' ? "'\n'" : `\\${c}`));
