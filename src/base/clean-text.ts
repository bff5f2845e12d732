/*
 * Text of others in which nothing is hidden. C0 and C1 controls, what turns the direction of writing, zero
 * width and unassigned characters are all of the category C; Zl and Zp break lines.
 */
const unclean = /[\p{C}\p{Zl}\p{Zp}]/u;

/** One line without control, format and unassigned characters: what is shown is what is there. */
export const isCleanText = (text: string): boolean => !unclean.test(text) && text.isWellFormed();

/** The same text as one such line: what may not stand in it becomes a blank. */
export const cleanedText = (text: string): string =>
  text
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
