// How much of each room the unit tests run, by v8, and the floor below which no room may fall.
// usage: node .ci/coverage.mjs SUMMARY [--raise]
// SUMMARY is the coverage-summary.json of a run. Prints a line for each room, and the failures; ends with 1 when there are any.
// --raise lifts the floors in .ci/coverage-floor.json to what was measured, less half a percent; it lowers none.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';

const floorFile = '.ci/coverage-floor.json';
/** What differs between two runs of the same tests: random inputs, turns of threads. */
const play = 0.5;

/** Percent of statements by room: of `src/` each folder, of `backends/` each. */
function byRoom(summary) {
  const rooms = {};
  for (const [path, { statements }] of Object.entries(summary)) {
    if (path === 'total') continue;
    const [top, name] = relative(process.cwd(), path).split('/');
    const room = (rooms[top === 'src' ? name : `${top}/${name}`] ??= { covered: 0, total: 0 });
    room.covered += statements.covered;
    room.total += statements.total;
  }
  return Object.fromEntries(
    Object.entries(rooms)
      .sort()
      .map(([room, { covered, total }]) => [room, total === 0 ? 100 : (100 * covered) / total]),
  );
}

/** The highest floor of each room that any commit had, as far back as this clone goes. */
function highestEver() {
  const git = (...args) => spawnSync('git', args, { encoding: 'utf8' });
  const commits = git('log', '--format=%H', '--', floorFile).stdout?.trim().split('\n') ?? [];
  const highest = {};
  for (const commit of commits.filter(Boolean)) {
    const shown = git('show', `${commit}:${floorFile}`);
    if (shown.status !== 0) continue; // the commit that removed it
    for (const [room, floor] of Object.entries(JSON.parse(shown.stdout)))
      highest[room] = Math.max(highest[room] ?? 0, floor);
  }
  return highest;
}

/**
 * Compares a run with the floors.
 * @returns {{lines: string[], failures: string[]}} a line for each room, and what is wrong.
 */
export function judgeCoverage(summaryPath) {
  const measured = byRoom(JSON.parse(readFileSync(summaryPath, 'utf8')));
  const floors = JSON.parse(readFileSync(floorFile, 'utf8'));
  const lines = [];
  const failures = [];
  for (const [room, percent] of Object.entries(measured)) {
    const floor = floors[room];
    lines.push(`${room.padEnd(22)} ${percent.toFixed(1).padStart(5)} %   floor ${floor ?? 'none'}`);
    if (percent < floor) failures.push(`${room}: ${percent.toFixed(1)} %, the floor is ${floor} %`);
  }
  for (const [room, floor] of Object.entries(highestEver()))
    if (measured[room] !== undefined && (floors[room] ?? 0) < floor)
      failures.push(`${room}: the floor was ${floor} % before and may only rise`);
  return { lines, failures };
}

function raise(summaryPath) {
  const floors = JSON.parse(readFileSync(floorFile, 'utf8'));
  const raised = Object.fromEntries(
    Object.entries(byRoom(JSON.parse(readFileSync(summaryPath, 'utf8')))).map(([room, percent]) => [
      room,
      Math.max(floors[room] ?? 0, Math.floor(10 * (percent - play)) / 10),
    ]),
  );
  writeFileSync(floorFile, `${JSON.stringify(raised, undefined, 2)}\n`);
}

if (import.meta.main) {
  const [summaryPath, ...options] = process.argv.slice(2);
  if (options.includes('--raise')) raise(summaryPath);
  const { lines, failures } = judgeCoverage(summaryPath);
  console.log([...lines, ...failures.map((failure) => `FAILED: coverage of ${failure}`)].join('\n'));
  process.exitCode = failures.length === 0 ? 0 : 1;
}
