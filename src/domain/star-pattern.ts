/** Tells whether a text is meant. */
export type StarPattern = (text: string) => boolean;

/**
 * A pattern in which `*` stands for any characters, also for none; everything else stands for itself. Costs
 * the size of the pattern times that of the text at most: nothing is tried again.
 */
export function starPattern(pattern: string): StarPattern {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  return (text) => {
    if (text.length < first.length + last.length) return false;
    if (!text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
