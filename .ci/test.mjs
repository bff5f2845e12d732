// Everything: unit tests that compare times; the other unit tests with their coverage, and formatting, types, walls and lint beside
// them, since each of these keeps one core busy; then integration tests.
// usage: node .ci/test.mjs [--renew-durations]
// An integration test drives real processes against real clocks, and a machine may stall: files with failures are run once
// more, alone, and a test that passes only then is named in the closing lines. Unit tests get no second run.
// Closes with the slowest twenty files, the tests that were left out, the failed ones by name with their reason, and "N passed, N failed"; ends
// with 1 when anything failed. --renew-durations writes integration/durations.json, by which vitest.config.ts orders files.
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { judgeCoverage } from './coverage.mjs';

const durationsFile = 'integration/durations.json';
const directory = mkdtempSync(join(tmpdir(), 'test-report-'));
const closing = [];
/** Seconds by file, of the first run. */
const seconds = {};
const leftOut = [];
/** Why a test failed, by its name: of the last run in which it did. */
const reasons = new Map();
let passed = 0;
let failed = 0;

/** Runs a command; with a file, what it prints goes there. Resolves to whether it ended with 0. */
const start = (file, command, ...args) => {
  const out = file === undefined ? 'inherit' : openSync(file, 'w');
  const child = spawn(command, args, { stdio: ['ignore', out, out] });
  if (typeof out === 'number') closeSync(out);
  return new Promise((resolve) => child.once('close', (code) => resolve(code === 0)));
};

/**
 * One run of vitest projects (one, or a list), of all their files or of those given.
 * @returns Map of "file: test" to passed or failed (skipped ones are in leftOut); a file that could not be loaded, and a run
 *   that failed without a failed test, are failed tests of their own.
 */
async function vitest(projects, name, { options = [], files = [], env = {} } = {}) {
  const output = join(directory, `${name}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${output}`];
  const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const chosen = [projects].flat().map((project) => `--project=${project}`);
  const vitestRun = ['npx', 'vitest', 'run', ...chosen, ...reporters, ...options, ...files];
  const well = await start(undefined, '.ci/without-dotfiles', 'env', ...settings, ...vitestRun);
  const outcomes = new Map();
  const report = existsSync(output) ? JSON.parse(readFileSync(output, 'utf8')) : { testResults: [] };
  for (const suite of report.testResults) {
    const path = relative(process.cwd(), suite.name);
    seconds[path] ??= Math.round((suite.endTime - suite.startTime) / 100) / 10;
    for (const test of suite.assertionResults) {
      if (['passed', 'failed'].includes(test.status)) {
        const key = note(outcomes, `${path}: ${test.fullName}`, test.status);
        if (test.status === 'failed') reasons.set(key, shortReason(test.failureMessages));
      } else if (suite.status === 'passed' && files.length === 0) leftOut.push(`${path}: ${test.fullName}`);
    }
    if (suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'))
      outcomes.set(`${path}: (the file itself)`, 'failed');
  }
  if (!well && ![...outcomes.values()].includes('failed'))
    outcomes.set(`${name}: (the run itself)`, 'failed');
  return outcomes;
}

// Tests made in a loop may share a name: each counts, so each has its number.
function note(outcomes, name, status) {
  let key = name;
  for (let n = 2; outcomes.has(key); n++) key = `${name} (${n})`;
  outcomes.set(key, status);
  return key;
}

/** The start of what a failed test printed, as one line. */
const shortReason = (messages = []) => messages.join(' ').replace(/\s+/g, ' ').trim().slice(0, 400);

const reasonLines = (name) => (reasons.has(name) ? [`  ${reasons.get(name)}`] : []);

const namesOf = (outcomes, status) => [...outcomes].flatMap(([name, is]) => (is === status ? [name] : []));

function countOne(well, what) {
  if (well) passed++;
  else {
    failed++;
    closing.push(`FAILED: ${what}`);
  }
}

function count(outcomes) {
  for (const name of namesOf(outcomes, 'failed')) closing.push(`FAILED: ${name}`, ...reasonLines(name));
  passed += namesOf(outcomes, 'passed').length;
  failed += namesOf(outcomes, 'failed').length;
}

/** A title, with the time since the start. */
const announce = (title) => {
  console.log(`== ${title} (at ${Math.floor(performance.now() / 60_000)} min)`);
};

async function check() {
  announce('format, types, walls, lint');
  const steps = ['format', 'types', 'walls', 'lint'];
  const printed = (step) => join(directory, `${step}.txt`);
  const ended = steps.map((step) => start(printed(step), 'make', '-s', step));
  for (const [i, step] of steps.entries()) {
    countOne(await ended[i], step);
    if (statSync(printed(step)).size > 0)
      console.log(`== ${step}\n${readFileSync(printed(step), 'utf8').trimEnd()}`);
  }
}

async function timed() {
  announce('unit, timed');
  count(await vitest('unit-timed', 'unit-timed'));
}

async function unit() {
  announce('unit');
  const coverage = join(directory, 'coverage');
  const options = ['--coverage.enabled', `--coverage.reportsDirectory=${coverage}`];
  count(await vitest(['unit', 'unit-shared'], 'unit', { options }));
  const summary = join(coverage, 'coverage-summary.json');
  if (!existsSync(summary)) return countOne(false, 'coverage (it was not measured)');
  const { lines, failures } = judgeCoverage(summary);
  console.log(['== coverage by the unit tests, statements', ...lines].join('\n'));
  if (failures.length === 0) passed++;
  for (const failure of failures) countOne(false, `coverage of ${failure}`);
}

async function integration() {
  announce('integration');
  const first = await vitest('integration*', 'integration');
  const broken = namesOf(first, 'failed');
  const files = [...new Set(broken.map((name) => name.split(': ')[0]))].filter((file) => existsSync(file));
  if (files.length > 0) {
    announce(`integration, once more: ${files.join(' ')}`);
    const second = await vitest('integration*', 'second run', { files, env: { TEST_WORKERS: 1 } });
    // What the first run could not do counts by the second: a name that is not in it stays failed, a file that could not be
    // loaded then is judged by its tests now.
    for (const name of broken) {
      if (second.get(name) === 'passed')
        closing.push(`passed at the second run only: ${name}`, ...reasonLines(name));
      if (name.endsWith(': (the file itself)') && isWhole(second, name.split(': ')[0])) {
        first.delete(name);
        closing.push(`could be loaded at the second run only: ${name}`);
      }
    }
    for (const [name, status] of second) first.set(name, status);
  }
  count(first);
}

function isWhole(outcomes, file) {
  const ofFile = [...outcomes].filter(([name]) => name.startsWith(`${file}: `));
  return ofFile.length > 0 && ofFile.every(([, status]) => status === 'passed');
}

function renewDurations() {
  const known = JSON.parse(readFileSync(durationsFile, 'utf8'));
  const all = { ...known, ...seconds };
  const kept = Object.entries(all).filter(([file]) => existsSync(file));
  writeFileSync(durationsFile, `${JSON.stringify(Object.fromEntries(kept.sort()), undefined, 2)}\n`);
}

await timed();
await Promise.all([check(), unit()]);
await integration();
if (process.argv.includes('--renew-durations')) renewDurations();
rmSync(directory, { recursive: true, force: true });

const slowest = Object.entries(seconds)
  .sort(([, a], [, b]) => b - a)
  .slice(0, 20);
console.log(['', 'The slowest twenty, in seconds:'].join('\n'));
for (const [file, each] of slowest) console.log(`${each.toFixed(1).padStart(7)}  ${file}`);
if (leftOut.length > 0)
  console.log(['', 'Left out, since this machine or account cannot do them:', ...leftOut].join('\n'));
console.log(['', ...closing, `${passed} passed, ${failed} failed`].join('\n'));
process.exitCode = failed === 0 ? 0 : 1;
