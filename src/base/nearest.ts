/**
 * What somebody may have meant who wrote `text`: the known word that takes the fewest changes of one letter
 * (two neighbours that changed places count once); undefined where none is near. Of equally near ones the
 * first.
 */
export function nearest(text: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(Math.min(text.length, 32) / 3));
  let best: string | undefined;
  let least = limit + 1;
  for (const word of known) {
    const distance = distanceOf(text.slice(0, 64).toLowerCase(), word.toLowerCase());
    if (distance < least) [best, least] = [word, distance];
  }
  return best;
}

/** Optimal string alignment distance. */
function distanceOf(a: string, b: string): number {
  let [before, last]: readonly number[][] = [[], Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const ways = [at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1), at(last, j) + 1, at(row, j - 1) + 1];
      if (areSwapped(a, i, b, j)) ways.push(at(before, j - 2) + 1);
      row.push(Math.min(...ways));
    }
    [before, last] = [last, row];
  }
  return at(last, b.length);
}

const at = (row: readonly number[] | undefined, i: number): number => row?.[i] ?? Infinity;

/** Whether the letters before these places are the same two, in the other order. */
const areSwapped = (a: string, i: number, b: string, j: number): boolean =>
  i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
