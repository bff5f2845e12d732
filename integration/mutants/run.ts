/*
 * What the unit tests notice: a fresh sample of small faults, each put into a copy of the tree and tried
 * against the unit test files that reach it.
 * `SEED=7 ROOMS=node,auth COUNT=20 FILES=src/auth/user make mutants`; each may be left out.
 * With `TESTS=src/auth` only those tests are run: quicker, and at most as good a figure.
 */
import { randomInt } from 'node:crypto';
import { copyWith } from './copy.ts';
import { figuresOf, isAtBar, line, reportOf, type Tried } from './report.ts';
import { roomsOf } from './rooms.ts';
import { sampleOf } from './sample.ts';
import { findReach, tryMutant } from './unit-tests.ts';

function numberOf(name: string, usual: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return usual;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name}: ${text} is not a number`);
  return Number(text);
}

const wordsOf = (text = ''): string[] => text.split(',').filter((one) => one !== '');

async function main(): Promise<void> {
  const root = process.cwd();
  const seed = numberOf('SEED', randomInt(1_000_000));
  const rooms = roomsOf(process.env['ROOMS']);
  const count = numberOf('COUNT', 12);
  const { possible, mutants } = sampleOf({ root, seed, rooms, count, files: process.env['FILES'] ?? '' });
  console.log(`SEED=${seed} ROOMS=${rooms.join(',')} COUNT=${count}: ${mutants.length} mutants`);
  const copy = copyWith(root, mutants);
  try {
    const reach = await findReach(copy, mutants, wordsOf(process.env['TESTS']));
    const tried: Tried[] = [];
    for (const mutant of mutants) {
      const one = { mutant, outcome: await tryMutant(copy, mutant, reach) };
      tried.push(one);
      console.log(`${tried.length}/${mutants.length} ${line(one)}`);
    }
    console.log(`\n${reportOf(tried, possible)}\n\nSEED=${seed}`);
    const byRoom = Map.groupBy(tried, ({ mutant }) => mutant.room);
    if (![...byRoom.values()].every((one) => isAtBar(figuresOf(one)))) process.exitCode = 1;
  } finally {
    copy.close();
  }
}

await main();
