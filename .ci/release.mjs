// `make release VERSION=x.y.z`: writes the version wherever it stands and the heading of CHANGELOG.md with today's date (UTC),
// commits, and tags vx.y.z. Pushes nothing. Refuses, and changes nothing, where the tree is not clean, the version is not
// greater than the last release or lower than the one in package.json, or nothing is listed under [Unreleased].
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

class Refused extends Error {}

const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Numbers of `x.y.z`, for comparison; undefined for anything else. */
function numbersOf(version) {
  const parts = /^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$/.exec(version);
  return parts?.slice(1).map(Number);
}

function compare(one, other) {
  const [a, b] = [numbersOf(one), numbersOf(other)];
  const at = a.findIndex((n, i) => n !== b[i]);
  return at === -1 ? 0 : a[at] - b[at];
}

/** Replaces `before`, which must be there `times` times: a file that has changed its form is not half replaced. */
function replace(text, file, before, after, times) {
  const parts = text.split(before);
  if (parts.length - 1 !== times)
    throw new Refused(
      `${file}: expected ${JSON.stringify(before)} ${times} times, found it ${parts.length - 1} times`,
    );
  return parts.join(after);
}

/** The same in the beginning of the file only: the lock file holds versions of other packages further down. */
function replaceAtStart(text, file, before, after, times) {
  const start = text.split('\n', 12).join('\n');
  return replace(start, file, before, after, times) + text.slice(start.length);
}

const unreleased = '## [Unreleased]\n';

/** What is listed under [Unreleased], up to the heading of the release before it. */
const unreleasedSection = (changelog) => changelog.split(unreleased)[1]?.split(/^## /m)[0] ?? '';

/** Where the version stands, and how each file is changed. */
const edits = (old, version, date) => ({
  'package.json': (text, file) =>
    replaceAtStart(text, file, `  "version": "${old}",\n`, `  "version": "${version}",\n`, 1),
  'package-lock.json': (text, file) =>
    replaceAtStart(text, file, `"version": "${old}",\n`, `"version": "${version}",\n`, 2),
  'docs/running.md': (text, file) => replace(text, file, ` ${old}:`, ` ${version}:`, 4),
  'CHANGELOG.md': (text, file) =>
    replace(text, file, unreleased, `${unreleased}\n## [${version}] - ${date}\n`, 1),
});

function releasedVersions(changelog) {
  const headings = [...changelog.matchAll(/^## \[(\d[^\]]*)\]/gm)].map(([, version]) => version);
  const tags = git('tag', '--list', 'v*')
    .split('\n')
    .map((tag) => tag.slice(1));
  return [...headings, ...tags].filter((version) => numbersOf(version) !== undefined).sort(compare);
}

function check(version) {
  if (numbersOf(version) === undefined)
    throw new Refused(
      `the version must be x.y.z, not ${JSON.stringify(version)}: make release VERSION=4.6.0`,
    );
  const changes = git('status', '--porcelain').trimEnd();
  if (changes !== '') throw new Refused(`the tree is not clean, commit or remove first:\n${changes}`);
  const current = JSON.parse(readFileSync('package.json', 'utf8')).version;
  const changelog = readFileSync('CHANGELOG.md', 'utf8');
  const last = releasedVersions(changelog).at(-1);
  if (last !== undefined && compare(version, last) <= 0)
    throw new Refused(`${version} is not greater than ${last}, which was released`);
  if (compare(version, current) < 0) throw new Refused(`${version} is lower than ${current} in package.json`);
  if (!/^- /m.test(unreleasedSection(changelog)))
    throw new Refused('CHANGELOG.md lists nothing under [Unreleased]: say what an operator will notice');
  return current;
}

function release(version) {
  const current = check(version);
  const date = new Date().toISOString().slice(0, 10);
  // All texts are made before the first is written.
  const texts = Object.entries(edits(current, version, date)).map(([file, edit]) => [
    file,
    edit(readFileSync(file, 'utf8'), file),
  ]);
  const before = git('rev-parse', 'HEAD').trim();
  try {
    for (const [file, text] of texts) writeFileSync(file, text);
    git(
      'commit',
      '--quiet',
      '-m',
      `release: ${version}`,
      '-m',
      'What it brings is in CHANGELOG.md.',
      '--',
      ...texts.map(([file]) => file),
    );
    git('tag', '--annotate', `v${version}`, '-m', `Release ${version}`);
  } catch (e) {
    // The tree was clean: nothing is lost.
    git('reset', '--quiet', '--hard', before);
    throw e;
  }
  console.log(`Released ${version}: commit ${git('rev-parse', '--short', 'HEAD').trim()}, tag v${version}.`);
  console.log(`To publish it: git push && git push origin v${version}`);
}

try {
  release(process.argv[2] ?? '');
} catch (e) {
  const reason = e instanceof Refused ? e.message : e.stderr?.toString().trim() || String(e);
  console.error(`error: nothing was released: ${reason}`);
  process.exitCode = 1;
}
