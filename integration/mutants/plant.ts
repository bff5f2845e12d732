import type { Change } from './changes.ts';

/** A change that was chosen. */
export interface Mutant extends Change {
  readonly id: number;
  /** From the root of the tree. */
  readonly path: string;
  readonly room: string;
  readonly line: number;
  /** The text that it changes. */
  readonly from: string;
}

/**
 * Set by the set-up file of the copy before any test; programs that tests start have none, and run the code
 * as it is.
 */
const declaration = 'const __mutant = (id: number): boolean => (globalThis as any).__mutant?.(id) ?? false; ';

/** The text of a file with each of its mutants behind a switch; lines stay what they are. */
export function planted(text: string, mutants: readonly Mutant[]): string {
  const ordered = [...mutants].sort(
    (a, b) => a.start - b.start || b.end - a.end || Number(b.to === 'left out') - Number(a.to === 'left out'),
  );
  return declaration + render(text, 0, text.length, ordered);
}

/** @param inside those of this range, outer before inner. */
function render(text: string, start: number, end: number, inside: readonly Mutant[]): string {
  let out = '';
  let at = start;
  const left = [...inside];
  for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
    const inner: Mutant[] = [];
    for (let next = left[0]; next !== undefined && next.start < mutant.end; next = left[0]) {
      inner.push(next);
      left.shift();
    }
    out += text.slice(at, mutant.start) + switched(mutant, render(text, mutant.start, mutant.end, inner));
    at = mutant.end;
  }
  return out + text.slice(at, end);
}

const switched = ({ id, to }: Mutant, original: string): string =>
  to === 'left out'
    ? `{ if (!__mutant(${id})) { ${original} } }`
    : `(__mutant(${id}) ? (${to.expression}) : (${original}))`;
