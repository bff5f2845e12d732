/*
 * The table of what age, width and numbers cost: `make bench-scale`, or some rows of it with
 * `make bench-scale ROWS="decisions opening"`. Each row at n, 2n and 4n, in a process of its own.
 * `node integration/bench/scale.ts <row> [store] [sizes …]` measures a row at other sizes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { type Bar, type Figure, headOf, linesOf, type StoreName } from './bars.ts';
import { engineFor } from './engines.ts';
import { bars } from './scale-rows.ts';

const barNamed = (name: string): Bar => {
  const bar = bars.find((one) => one.name === name);
  if (bar === undefined) throw new Error(`no row ${name}: ${bars.map((one) => one.name).join(', ')}`);
  return bar;
};

/** In this process: a line of JSON for each size. */
async function measure(name: string, store: string, sizes: readonly number[]): Promise<void> {
  const bar = barNamed(name);
  for (const n of sizes) {
    const { storage, close } = await engineFor(store);
    try {
      console.log(JSON.stringify(await bar.measure(n, storage)));
    } finally {
      await close();
    }
  }
}

/** Runs a row in a process of its own, and prints its lines. @returns whether it could be measured. */
async function printRow(bar: Bar, store: string, sizes: readonly number[]): Promise<boolean> {
  console.log(headOf(bar, store, sizes));
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      import.meta.filename,
      '-',
      bar.name,
      store,
      ...sizes.map(String),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const found = text
    .split('\n')
    .filter((line) => line.startsWith('['))
    .map((line) => JSON.parse(line) as Figure[]);
  for (const line of linesOf(bar, store, found)) console.log(line);
  if (code !== 0) console.log(`${bar.name} ${store} could not be measured: exit ${String(code)}`);
  return code === 0;
}

async function printTable(names: readonly string[]): Promise<void> {
  const began = performance.now();
  console.log(`${availableParallelism()} cores for everything, Node ${process.version}`);
  let failed = false;
  for (const bar of names.length > 0 ? names.map(barNamed) : bars)
    for (const [store, sizes] of Object.entries(bar.stores))
      failed = !(await printRow(bar, store, sizes)) || failed;
  console.log(`in ${((performance.now() - began) / 60_000).toFixed(1)} minutes`);
  if (failed) process.exitCode = 1;
}

const isStore = (text: string | undefined): text is StoreName =>
  text === 'none' || text === 'dir' || text === 'etcd';

const [first = '', second, ...rest] = process.argv.slice(2);
if (first === '-') await measure(second ?? '', rest[0] ?? 'dir', rest.slice(1).map(Number));
else if (isStore(second) || Number.isFinite(Number(second ?? 'none'))) {
  const bar = barNamed(first);
  const [usual = 'dir'] = Object.keys(bar.stores) as StoreName[];
  const store = isStore(second) ? second : usual;
  const sizes = (isStore(second) ? rest : [second, ...rest]).map(Number);
  await printRow(bar, store, sizes.length > 0 ? sizes : (bar.stores[store] ?? bar.stores[usual] ?? []));
} else await printTable(process.argv.slice(2));
