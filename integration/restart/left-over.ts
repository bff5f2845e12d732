import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it ended, or its last thread did
  }
};

/** Every process of this machine that has one of the marks in its command line or environment, by number. */
export const processesWith = (marks: readonly string[]): ReadonlyMap<number, string> =>
  new Map(
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && pid !== process.pid)
      .map((pid) => [pid, read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')] as const)
      .filter(([pid, line]) => {
        const all = line + read(`/proc/${pid}/environ`);
        return marks.some((mark) => all.includes(mark));
      }),
  );

/** Of all its threads. */
export const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );

/** What a process has open: how many of each kind; files and devices by name. */
export function descriptorsOf(pid: number): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    let target: string;
    try {
      target = readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      continue; // closed while we looked
    }
    const kind = target.replace(/:\[\d+\]$/, '');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).sort());
}
