import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { version } from '../../src/base/version.ts';

const script = resolve('.ci/release.mjs');
const [major = 0, minor = 0] = version.split('.').map(Number);
const next = `${major}.${minor + 1}.0`;
const afterNext = `${major}.${minor + 2}.0`;

let tree: string;

const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: tree, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const read = (file: string): string => readFileSync(join(tree, file), 'utf8');
const today = (): string => new Date().toISOString().slice(0, 10);

function commitAll(message: string): void {
  git('add', '.');
  git('commit', '--quiet', '-m', message);
}

function release(wanted: string): { readonly code: number | null; readonly printed: string } {
  const ended = spawnSync(process.execPath, [script, wanted], { cwd: tree, encoding: 'utf8' });
  return { code: ended.status, printed: ended.stdout + ended.stderr };
}

/** Everything that a release may change, as it is. */
const state = (): unknown => [
  git('rev-parse', 'HEAD'),
  git('tag', '--list'),
  git('status', '--porcelain'),
  ['package.json', 'package-lock.json', 'CHANGELOG.md', 'docs/running.md'].map(read),
];

function expectRefusal(wanted: string, why: string | RegExp): void {
  const before = state();
  const { code, printed } = release(wanted);
  expect(printed).toMatch(/^error: nothing was released: /);
  expect(printed).toMatch(why);
  expect(code).toBe(1);
  expect(state()).toEqual(before);
}

// A repository of its own, with our files as they are and a changelog of one entry.
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'release-test-'));
  mkdirSync(join(tree, 'docs'));
  for (const file of ['package.json', 'package-lock.json', 'docs/running.md']) cpSync(file, join(tree, file));
  writeFileSync(join(tree, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One thing.\n');
  git('init', '--quiet', '--initial-branch=trunk');
  git('config', 'user.name', 'Releaser');
  git('config', 'user.email', 'releaser@example.com');
  git('config', 'commit.gpgsign', 'false');
  git('config', 'tag.gpgsign', 'false');
  git('config', 'core.hooksPath', join(tree, '.git/hooks'));
  commitAll('begin');
});
afterEach(() => {
  rmSync(tree, { recursive: true, force: true });
});

describe('a release', () => {
  it('writes the version everywhere, dates the changelog, commits and tags', () => {
    const days = [today()];
    const { code, printed } = release(next);
    days.push(today());
    expect(printed).toContain(
      `Released ${next}: commit ${git('rev-parse', '--short', 'HEAD')}, tag v${next}.`,
    );
    expect(code).toBe(0);
    for (const file of ['package.json', 'package-lock.json'])
      expect(JSON.parse(read(file))).toEqual({
        ...(JSON.parse(readFileSync(file, 'utf8')) as object),
        version: next,
        ...(file === 'package.json' ? {} : { packages: withRootVersion(next) }),
      });
    expect(read('docs/running.md')).toContain(`Auth service ${next}:1a2b3c4 is starting`);
    expect(read('docs/running.md')).not.toContain(version);
    const headed = (day: string): string =>
      `# Changelog\n\n## [Unreleased]\n\n## [${next}] - ${day}\n\n### Added\n\n- One thing.\n`;
    expect(days.map(headed)).toContain(read('CHANGELOG.md'));
    expect(git('log', '-1', '--format=%s')).toBe(`release: ${next}`);
    expect(git('rev-parse', `v${next}^{commit}`)).toBe(git('rev-parse', 'HEAD'));
    expect(git('cat-file', '-t', `v${next}`)).toBe('tag');
    expect(git('status', '--porcelain')).toBe('');
  });

  it('may have the version that stands there, as long as that was not released', () => {
    expect(release(version).code).toBe(0);
    appendToUnreleased('- Another thing.');
    expectRefusal(version, `${version} is not greater than ${version}, which was released`);
    expect(release(next).code).toBe(0);
    expect(read('CHANGELOG.md')).toMatch(/- Another thing\.\n[^]*\n## \[[^]*- One thing\./);
  });

  it('refuses a tree that is not clean, naming what is', () => {
    writeFileSync(join(tree, 'left-over.txt'), 'x');
    expectRefusal(next, 'left-over.txt');
    rmSync(join(tree, 'left-over.txt'));
    appendFileSync(join(tree, 'docs/running.md'), 'half a sentence');
    expectRefusal(next, 'M docs/running.md');
  });

  it.each(['', 'v4.6.0', '4.6', '4.6.0-rc.1', '04.6.0', '4.6.0; true'])(
    'refuses %j as a version',
    (wanted) => {
      expectRefusal(wanted, 'the version must be x.y.z');
    },
  );

  it('refuses a version that is not greater than what was released, or lower than what stands there', () => {
    expectRefusal('0.9.0', `0.9.0 is lower than ${version} in package.json`);
    git('tag', `v${afterNext}`);
    expectRefusal(next, `${next} is not greater than ${afterNext}`);
    expectRefusal(afterNext, `${afterNext} is not greater than ${afterNext}`);
  });

  it('refuses when the changelog lists nothing since the last release', () => {
    expect(release(next).code).toBe(0);
    expectRefusal(afterNext, 'CHANGELOG.md lists nothing under [Unreleased]');
  });

  it('refuses where the version does not stand as it should, before it writes anything', () => {
    writeFileSync(join(tree, 'docs/running.md'), 'no version here\n');
    commitAll('docs without the version');
    expectRefusal(next, /docs\/running\.md: expected .* 4 times, found it 0 times/);
  });

  it('leaves nothing behind when git refuses', () => {
    writeFileSync(join(tree, '.git/hooks/commit-msg'), '#!/bin/sh\necho not today >&2\nexit 1\n', {
      mode: 0o755,
    });
    expectRefusal(next, 'not today');
  });
});

describe('the version', () => {
  it('stands nowhere in the manual and the examples where a release does not write it', () => {
    const files = ['docs', 'examples', '.ci', 'bin']
      .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      // A decision may name the release that it was made for.
      .filter((file) => !file.startsWith('docs/rfd/'));
    const found = [...files, 'README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'Makefile'].filter((file) =>
      readFileSync(file, 'utf8').includes(version),
    );
    expect(found).toEqual(['docs/running.md']);
  });
});

function withRootVersion(wanted: string): object {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: { '': object } };
  return { ...packages, '': { ...packages[''], version: wanted } };
}

function appendToUnreleased(line: string): void {
  writeFileSync(
    join(tree, 'CHANGELOG.md'),
    read('CHANGELOG.md').replace('## [Unreleased]\n', `$&\n${line}\n`),
  );
  commitAll('another thing');
}
