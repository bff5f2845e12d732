import { readFileSync, readdirSync } from 'node:fs';
import { run } from '../harness/run-program.ts';

export const seconds = (from: bigint): number => Number(process.hrtime.bigint() - from) / 1e9;

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** NaN of none. */
export const percentile = (values: readonly number[], p: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor((values.length * p) / 100))] ??
  Number.NaN;

const ticksPerSecond = 100;

/** CPU seconds of a process: its own, and of the children it has waited for. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) / ticksPerSecond;
}

/** The process and all its descendants. */
export function family(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
    try {
      const parent = Number(
        readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[1],
      );
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // the process ended while we looked
    }
  }
  const all = [pid];
  for (const one of all) all.push(...(children.get(one) ?? []));
  return all;
}

/** Proportional memory in MiB: pages that processes share are counted once. */
export function memoryMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    try {
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // the process ended while we looked
    }
  }
  return kib / 1024;
}

/** Runs a shell command; throws when it fails, with what it said. Answers its wall seconds. */
export async function timed(command: string, env: NodeJS.ProcessEnv, timeoutMs = 300_000): Promise<number> {
  const from = process.hrtime.bigint();
  const ran = await run('/bin/sh', ['-c', command], { env, timeoutMs });
  if (ran.code !== 0) throw new Error(`${command}: exit ${String(ran.code)}\n${ran.stderr}`);
  return seconds(from);
}

/**
 * Median wall seconds of `runs` runs of each command, taken in turn so that a drifting machine is fair to
 * all.
 */
export async function inTurn(
  commands: Readonly<Record<string, string>>,
  runs: number,
  env: NodeJS.ProcessEnv,
): Promise<Record<string, number>> {
  const times = new Map<string, number[]>(Object.keys(commands).map((name) => [name, []]));
  for (let i = 0; i < runs + 1; i++)
    for (const [name, command] of Object.entries(commands)) {
      const took = await timed(command, env);
      if (i > 0) times.get(name)?.push(took); // the first round warms up
    }
  return Object.fromEntries([...times].map(([name, values]) => [name, median(values)]));
}

/** Sessions per second: `total` runs of the command, `parallel` at a time. */
export async function rate(
  command: string,
  total: number,
  parallel: number,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const from = process.hrtime.bigint();
  let left = total;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (left-- > 0) await timed(command, env);
    }),
  );
  return total / seconds(from);
}

/** Prints one row: what, each figure, and the ratio of the first to the last. */
export function row(what: string, figures: Readonly<Record<string, number>>, unit: string): void {
  const entries = Object.entries(figures);
  const base = entries.at(-1)?.[1] ?? Number.NaN;
  const texts = entries.map(
    ([name, value]) => `${name} ${value.toPrecision(3)} ${unit} (${(value / base).toFixed(2)})`,
  );
  console.log(`${what.padEnd(38)} ${texts.join('   ')}`);
}
