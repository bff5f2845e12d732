import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
// @ts-expect-error it is the lint's, and has no types
import { plainWords } from '../../.ci/plain-words.mjs';

const words = plainWords as readonly { readonly pattern: RegExp; readonly better: string }[];
const texts = globSync([
  '*.md',
  'docs/**/*.md',
  'src/**/*.md',
  'backends/**/*.md',
  'integration/**/*.md',
]).filter((file) => !file.includes('node_modules'));

/** Names of tests and quoted texts stand in backquotes or brackets: they are what they are. */
const prose = (text: string): string => text.replace(/`[^`\n]*`|\[[^\]]*\]/g, '');

it('reads the manual, the decisions and the READMEs', () => {
  expect(texts).toEqual(expect.arrayContaining(['README.md', 'docs/locks.md', 'src/ssh/README.md']));
});

it.each(texts)('%s is in plain English', (file) => {
  const lines = readFileSync(file, 'utf8').split('\n');
  const found = lines.flatMap((line, at) =>
    words.flatMap(({ pattern, better }) => {
      const word = pattern.exec(prose(line))?.[0];
      return word === undefined ? [] : [`${file}:${at + 1}: "${word}": write "${better}"`];
    }),
  );
  expect(found).toEqual([]);
});
