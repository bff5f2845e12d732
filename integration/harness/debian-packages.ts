import { hash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Ran, run } from './run-program.ts';
import { inTurn } from './own-ports.ts';

/** Releases of Debian that carry other versions of what our tests drive than this machine does. */
export type DebianRelease = 'bullseye' | 'bookworm' | 'trixie' | 'forky';

const cache = resolve('node_modules/.cache/debian');

/**
 * Unpacks packages of another Debian release into a directory of their own, fetched once: no script of theirs
 * is run, and nothing on this machine changes. With `dependencies`, all that they need comes too: enough of a
 * root to chroot into. Answers the directory; or undefined, with the reason printed, where this machine
 * cannot get them.
 */
export async function unpackPackages(
  release: DebianRelease,
  names: readonly string[],
  { dependencies = false } = {},
): Promise<string | undefined> {
  const place = join(cache, `${release}-${hash('sha256', [dependencies, ...names].join(' ')).slice(0, 12)}`);
  return inTurn(`fetch ${place}`, async () =>
    existsSync(place) ? place : unpackTo(place, release, names, dependencies),
  );
}

async function unpackTo(
  place: string,
  release: DebianRelease,
  names: readonly string[],
  dependencies: boolean,
): Promise<string | undefined> {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'fetch-'));
  try {
    const root = join(work, 'root');
    mkdirSync(root);
    for (const step of [update, dependencies ? fetchWithDependencies : fetchAlone]) {
      const { code, stdout, stderr } = await step(work, release, names);
      if (code === 0) continue;
      console.log(
        `${names.join(' and ')} of Debian ${release} cannot be tried: ${(stdout + stderr).trim().slice(-500)}`,
      );
      return undefined;
    }
    for (const file of readdirSync(join(work, 'archives')).filter((name) => name.endsWith('.deb'))) {
      const { code, stderr } = await run('dpkg-deb', ['--extract', join(work, 'archives', file), root]);
      if (code !== 0) throw new Error(`${file} of Debian ${release}: ${stderr}`);
    }
    renameSync(root, place);
    return place;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** apt with lists, cache and knowledge of what is installed (nothing) of its own. */
function apt(work: string, release: DebianRelease, args: readonly string[]): Promise<Ran> {
  for (const folder of ['lists/partial', 'archives/partial'])
    mkdirSync(join(work, folder), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(
    join(work, 'sources.list'),
    `deb [signed-by=${keyring}] http://deb.debian.org/debian ${release} main\n`,
  );
  writeFileSync(join(work, 'status'), '');
  const settings = {
    'Dir::Etc::sourcelist': join(work, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': work,
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': work,
    'Dir::Cache::archives': join(work, 'archives'),
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  return run('apt-get', ['-q', '-y', ...options, ...args], {
    cwd: join(work, 'archives'),
    timeoutMs: 300_000,
  });
}

const update = (work: string, release: DebianRelease): Promise<Ran> =>
  apt(work, release, ['update', '--error-on=any']);

const fetchAlone = (work: string, release: DebianRelease, names: readonly string[]): Promise<Ran> =>
  apt(work, release, ['download', ...names]);

const fetchWithDependencies = (
  work: string,
  release: DebianRelease,
  names: readonly string[],
): Promise<Ran> => apt(work, release, ['install', '--download-only', ...names]);
