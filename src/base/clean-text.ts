/*
 * Recognises hidden characters in text of others. C0 and C1 controls, characters that turn the direction of
 * writing, zero width and unassigned characters are all of the category C; Zl and Zp break lines.
 */
const unclean = /[\p{C}\p{Zl}\p{Zp}]/u;

/** One line without control, format and unassigned characters: nothing in it is hidden. */
export const isCleanText = (text: string): boolean => !unclean.test(text) && text.isWellFormed();

/** The same text as one such line: other characters become blanks. */
export const cleanedText = (text: string): string =>
  text
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
