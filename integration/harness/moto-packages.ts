import { hash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from './run-program.ts';
import { inTurn } from './own-ports.ts';

const cache = resolve('node_modules/.cache/moto');
const requirements = resolve('integration/harness/moto/requirements.txt');

/**
 * A folder with moto and all that it needs, for this machine's `python3`: fetched from PyPI when it is not
 * here, in exactly the files that requirements.txt names by their hashes. Nothing is installed for the
 * machine.
 * @throws Error with what is missing.
 */
export async function motoPackages(): Promise<string> {
  // Parts are native: another Python needs others.
  const python = await said(['-VV']);
  const place = join(cache, hash('sha256', python + process.arch + readFileSync(requirements, 'utf8')));
  return inTurn(`fetch ${place}`, async () => (existsSync(place) ? place : fetchTo(place)));
}

async function fetchTo(place: string): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'fetch-'));
  try {
    const packages = join(work, 'packages');
    const pip = await pipFor(join(work, 'venv'));
    const args = ['install', '--quiet', '--target', packages, '--only-binary=:all:', '--require-hashes'];
    await said(['-m', 'pip', ...args, '-r', requirements], pip);
    renameSync(packages, place);
    return place;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * A Python that has pip: that of a virtual environment made at `venv`, or the machine's own. @throws Error
 */
async function pipFor(venv: string): Promise<string> {
  try {
    await said(['-m', 'venv', venv]);
    return join(venv, 'bin', 'python');
  } catch (noVenv) {
    try {
      await said(['-m', 'pip', '--version']);
      return 'python3';
    } catch (noPip) {
      throw new Error(
        `python3 makes no virtual environment and has no pip (on Debian: python3-venv): ${String(noVenv)}; ${String(noPip)}`,
        { cause: noPip },
      );
    }
  }
}

/** What Python prints. @throws Error with the command and what it says when it fails. */
async function said(args: readonly string[], python = 'python3'): Promise<string> {
  const { code, stdout, stderr } = await run(python, args, { timeoutMs: 300_000 });
  if (code !== 0)
    throw new Error(`${[python, ...args].join(' ')} failed: ${(stdout + stderr).trim().slice(-500)}`);
  return stdout;
}
