/** Lines around a change that are printed with it. */
const context = 3;

type Line = readonly [sign: ' ' | '-' | '+', text: string];

/**
 * What changed between two texts, line by line, in the form of `diff -u` without its numbers. Empty when
 * nothing did.
 */
export function differenceOf(before: string, after: string): string {
  const lines = compared(before.split('\n'), after.split('\n'));
  const near = (at: number): boolean =>
    lines.slice(Math.max(0, at - context), at + context + 1).some(([sign]) => sign !== ' ');
  let text = '';
  let wasLeftOut = false;
  for (const [at, [sign, line]] of lines.entries()) {
    if (near(at)) {
      if (wasLeftOut && text !== '') text += '  …\n';
      text += `${sign} ${line}\n`;
    }
    wasLeftOut = !near(at);
  }
  return text;
}

/** The longest common subsequence: resources are short. */
function compared(before: readonly string[], after: readonly string[]): Line[] {
  const common = lengths(before, after);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push([' ', before[i] ?? '']);
      i++;
      j++;
    } else if (j >= after.length || (i < before.length && at(common, i + 1, j) >= at(common, i, j + 1)))
      lines.push(['-', before[i++] ?? '']);
    else lines.push(['+', after[j++] ?? '']);
  }
  return lines;
}

const at = (table: readonly (readonly number[])[], i: number, j: number): number => table[i]?.[j] ?? 0;

/** Of the rests from each pair of places. */
function lengths(before: readonly string[], after: readonly string[]): number[][] {
  const table = Array.from({ length: before.length + 1 }, () => new Array<number>(after.length + 1).fill(0));
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--) {
      const row = table[i] ?? [];
      row[j] =
        before[i] === after[j]
          ? at(table, i + 1, j + 1) + 1
          : Math.max(at(table, i + 1, j), at(table, i, j + 1));
    }
  return table;
}
