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
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const above = rows[i - 1] ?? [];
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const smallest = Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(swapped ? Math.min(smallest, (rows[i - 2]?.[j - 2] ?? 0) + 1) : smallest);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? Infinity;
}
