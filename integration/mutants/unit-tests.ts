import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { Copy } from './copy.ts';
import type { Mutant } from './plant.ts';
import { fileSeconds, limitsFor, type TestFile, type Verdict, verdictOf } from './test-run.ts';

/** Which test files reach a mutant, and how long each takes. */
export interface Reach {
  of(id: number): readonly TestFile[];
}

export type Outcome =
  | { readonly status: 'noticed'; readonly by: string }
  /** It never ended: that is noticed, too. */
  | { readonly status: 'noticed by its time' }
  | { readonly status: 'survived'; readonly notRun: number }
  | { readonly status: 'not reached' }
  /** The test runner broke: that says nothing of the tests. */
  | { readonly status: 'not judged'; readonly why: string };

/** Files that reach a mutant of another room are run until they take this long together. */
const othersSeconds = 30;
const reachWorkers = 2;

/**
 * Runs once, with every mutant off, all unit tests that import a file with one.
 * @param tests only those whose path holds one of these; none: all of them.
 * @throws Error when one fails: then nothing could be seen.
 */
export async function findReach(
  copy: Copy,
  mutants: readonly Mutant[],
  tests: readonly string[] = [],
): Promise<Reach> {
  const paths = [...new Set(mutants.map(({ path }) => path))];
  const begun = performance.now();
  const found = await vitest(
    copy,
    tests.length === 0 ? ['related', '--run', ...paths] : ['run', ...tests],
    // On a busy machine a slow test is not a broken one: only a change is noticed by its time.
    { REACHED: copy.reached, MUTANT: '0', WORKERS: String(reachWorkers), PATIENCE: '300000' },
    1_800_000,
  );
  if (found.status !== 'passed')
    throw new Error(`the unit tests do not pass before anything is changed: ${JSON.stringify(found)}`);
  const secondsOf = fileSeconds(found.seconds, ((performance.now() - begun) / 1000) * reachWorkers);
  const byMutant = new Map<number, TestFile[]>();
  for (const name of readdirSync(copy.reached)) {
    const { file, reached } = JSON.parse(readFileSync(join(copy.reached, name), 'utf8')) as {
      file: string;
      reached: number[];
    };
    const path = relative(copy.root, file);
    for (const id of reached)
      byMutant.set(id, [...(byMutant.get(id) ?? []), { path, seconds: secondsOf(file) }]);
  }
  return { of: (id) => byMutant.get(id) ?? [] };
}

/**
 * Runs the test files that reach a mutant with that one on: its own first, then those of its room, then
 * others.
 */
export async function tryMutant(copy: Copy, mutant: Mutant, reach: Reach): Promise<Outcome> {
  const files = inOrder(reach.of(mutant.id), mutant);
  if (files.length === 0) return { status: 'not reached' };
  const { chosen, notRun } = affordable(files, mutant);
  for (const group of [chosen.slice(0, 1), chosen.slice(1, 5), chosen.slice(5)]) {
    if (group.length === 0) continue;
    const paths = group.map(({ path }) => path);
    const { testMs, runMs } = limitsFor(group);
    const found = await vitest(
      copy,
      ['run', '--bail', '1', ...paths],
      { MUTANT: String(mutant.id), PATIENCE: String(testMs) },
      runMs,
    );
    if (found.status === 'not ended') return { status: 'noticed by its time' };
    if (found.status === 'failed') return { status: 'noticed', by: found.by };
    if (found.status === 'broken') return { status: 'not judged', why: found.why };
  }
  return { status: 'survived', notRun };
}

const isOfRoom = ({ path }: TestFile, { room }: Mutant): boolean => path.startsWith(`src/${room}/`);

function inOrder(files: readonly TestFile[], mutant: Mutant): TestFile[] {
  const own = mutant.path.replace(/\.ts$/, '.test.ts');
  const rank = (file: TestFile): number => (file.path === own ? 0 : isOfRoom(file, mutant) ? 1 : 2);
  return [...files].sort((a, b) => rank(a) - rank(b) || a.seconds - b.seconds);
}

function affordable(
  files: readonly TestFile[],
  mutant: Mutant,
): { readonly chosen: readonly TestFile[]; readonly notRun: number } {
  let seconds = 0;
  const chosen = files.filter((file) => {
    if (isOfRoom(file, mutant)) return true;
    seconds += file.seconds;
    return seconds <= othersSeconds;
  });
  return { chosen, notRun: files.length - chosen.length };
}

type Run = Verdict | { readonly status: 'not ended' };

/** One run of its own, so that a change that loops for ever, or breaks the runner, ends with it. */
async function vitest(
  copy: Copy,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<Run> {
  const directory = mkdtempSync(join(tmpdir(), 'mutants-run-'));
  const output = join(directory, 'report.json');
  const child = spawn(
    process.execPath,
    [
      join(copy.root, 'node_modules/vitest/vitest.mjs'),
      ...args,
      '--reporter',
      'json',
      '--outputFile',
      output,
    ],
    { cwd: copy.root, detached: true, stdio: 'ignore', env: { ...process.env, ...env } },
  );
  try {
    const ended = await new Promise<'ended' | 'not ended'>((resolve, reject) => {
      const limit = setTimeout(() => {
        resolve('not ended');
      }, timeoutMs);
      child.once('error', reject).once('close', () => {
        clearTimeout(limit);
        resolve('ended');
      });
    });
    if (ended === 'not ended') return { status: 'not ended' };
    return verdictOf(child.exitCode ?? child.signalCode, reportIn(output));
  } finally {
    endGroup(child.pid);
    rmSync(directory, { recursive: true });
  }
}

/** Its workers, and what a test left behind: all are of the group that was made for this run. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ESRCH') throw e;
  }
}

function reportIn(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
    return undefined;
  }
}
