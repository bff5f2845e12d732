/** Whether the pattern matches a text. */
export type StarPattern = (text: string) => boolean;

/**
 * A pattern in which `*` stands for any characters, also for none; everything else stands for itself. Takes
 * time proportional at most to the length of the pattern times that of the text: nothing is tried twice.
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
