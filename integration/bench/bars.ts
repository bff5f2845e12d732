import { setImmediate as turn } from 'node:timers/promises';
import type { Storage } from '../simulator/shared-store.ts';

/** One figure of a row at one size. */
export interface Figure {
  /** The same in the same place at each size. */
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** The most that it may be at the largest of the usual sizes; undefined: it is shown beside the others. */
  readonly most?: number;
  /** The least that it may be. */
  readonly least?: number;
}

/** A row of the table of `make bench-scale`. */
export interface Bar {
  /** By which it is run alone. */
  readonly name: string;
  /** What `n` counts. */
  readonly of: string;
  /** By store n, 2n, 4n: the last is the size that the bar is about, or as much as the time allows. */
  readonly stores: Readonly<Partial<Record<StoreName, readonly [number, number, number]>>>;
  readonly measure: (n: number, storage: Storage | undefined) => Promise<readonly Figure[]>;
}

/** `none`: nothing of it is written to a store. */
export type StoreName = 'none' | 'dir' | 'etcd';

export interface Took {
  readonly ms: number;
  /** Of all threads: what others on the machine do does not count. */
  readonly cpuMs: number;
  /**
   * The longest for which nobody else would have been served, with collection of garbage: what this thread
   * worked between two turns of its loop. While others on the machine have the core it does not count.
   */
  readonly pauseMs: number;
}

const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
};

/** Looks at each turn of the loop, or each millisecond, how much was worked since the one before. */
function watchPauses(): () => number {
  let [last, most] = [threadMs(), 0];
  const look = (): void => {
    const now = threadMs();
    most = Math.max(most, now - last);
    last = now;
  };
  const ticker = setInterval(look, 1);
  return () => {
    look();
    clearInterval(ticker);
    return most;
  };
}

export async function took(act: () => Promise<unknown>): Promise<Took> {
  const pauses = watchPauses();
  await turn();
  const [from, before] = [performance.now(), process.cpuUsage()];
  await act();
  const ms = performance.now() - from;
  const { user, system } = process.cpuUsage(before);
  await turn();
  return { ms, cpuMs: (user + system) / 1e3, pauseMs: pauses() };
}

/** The one of several runs with the least CPU: what disturbs only adds. */
export async function leastOf(runs: number, act: () => Promise<unknown>): Promise<Took> {
  const all: Took[] = [];
  for (let run = 0; run < runs; run++) all.push(await took(act));
  return {
    ms: Math.min(...all.map(({ ms }) => ms)),
    cpuMs: Math.min(...all.map(({ cpuMs }) => cpuMs)),
    pauseMs: Math.min(...all.map(({ pauseMs }) => pauseMs)),
  };
}

const labelOf = (name: string, store: string): string => (store === 'none' ? name : `${name} ${store}`);

const shown = (value: number): string =>
  Number.isInteger(value) || Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(2);

/** Whether a bar is kept is said of the largest size alone. */
export function linesOf(bar: Bar, store: string, figures: readonly (readonly Figure[])[]): readonly string[] {
  const [first = []] = figures;
  return first.map(({ what, unit }, at) => {
    const each = figures.map((of) => of[at]);
    const [n, last] = [each[0]?.value ?? Number.NaN, each.at(-1)];
    const values = each.map((one) => shown(one?.value ?? Number.NaN).padStart(9)).join(' ');
    const slope = n === 0 || each.length === 1 ? '-' : ((last?.value ?? Number.NaN) / n).toFixed(1);
    return `${labelOf(bar.name, store).padEnd(18)} ${what.padEnd(52)} ${unit.padEnd(6)} ${values} ${slope.padStart(6)}  ${verdictOf(last)}`;
  });
}

function verdictOf(figure: Figure | undefined): string {
  if (figure === undefined) return 'not measured';
  const { value, most, least } = figure;
  if (most !== undefined) return `at most ${shown(most)}: ${value <= most ? 'kept' : 'MISSED'}`;
  if (least !== undefined) return `at least ${shown(least)}: ${value >= least ? 'kept' : 'MISSED'}`;
  return '';
}

export const headOf = ({ name, of }: Bar, store: string, sizes: readonly number[]): string =>
  `${labelOf(name, store).padEnd(18)} ${of.padEnd(52)} ${''.padEnd(6)} ${sizes.map((n) => String(n).padStart(9)).join(' ')} ${'4n/n'.padStart(6)}`;
