import { printable } from '../base/printable.ts';

const width = (cell: string): number => Array.from(cell).length;
const minWidth = 5;

/**
 * A table as users of 4.4 know it: columns at least five wide and one blank apart, a row of dashes under the
 * titles, every cell padded (the last too, so lines end in blanks), each line ended by a newline. Cells are
 * made printable: they often contain names that somebody else chose.
 */
export function formatTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const dashes = titles.map((title, i) =>
    '-'.repeat(widest(i, [titles, ...cells])).padEnd(width(title), '-'),
  );
  return layOut([titles, dashes, ...cells]);
}

/** One page of a long table: as wide as its own cells want. The titles stand above the first. */
export function formatPage(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  isFirst: boolean,
): string {
  const table = formatTable(titles, rows);
  return isFirst ? table : table.split('\n').slice(2).join('\n');
}

/** Two columns without titles, two blanks apart: `Cluster  example`. */
export const formatPairs = (rows: readonly (readonly [string, string])[]): string =>
  layOut(
    rows.map((row) => row.map(printable)),
    2,
  );

const widest = (column: number, rows: readonly (readonly string[])[]): number =>
  rows.reduce((most, row) => Math.max(most, width(row[column] ?? '')), 0);

function layOut(rows: readonly (readonly string[])[], gap = 1): string {
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const widths = Array.from({ length: columns }, (_, i) => Math.max(minWidth, widest(i, rows) + gap));
  const line = (row: readonly string[]): string =>
    widths.map((w, i) => (row[i] ?? '') + ' '.repeat(w - width(row[i] ?? ''))).join('');
  return rows.map((row) => `${line(row)}\n`).join('');
}
