import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const read = (file: string): string => readFileSync(file, 'utf8');
const decisions = readdirSync('docs/rfd').filter((name) => name !== 'README.md');
const numberOf = (name: string): number => Number(name.slice(0, 4));

describe('decisions', () => {
  const index = read('docs/rfd/README.md');

  it.each(decisions)('%s has its number, its status with a date, and its line in the index', (name) => {
    expect(name).toMatch(/^\d{4}-[a-z0-9-]+\.md$/);
    const text = read(join('docs/rfd', name));
    const [, title = '', status = '', date = ''] =
      new RegExp(
        `^# ${numberOf(name)}\\. (.+)\\n\\nStatus: (proposed|accepted|replaced), (\\d{4}-\\d\\d-\\d\\d)`,
      ).exec(text) ?? [];
    expect(title).not.toBe('');
    const line = `| ${numberOf(name)} | [${title}](${name}) | ${status}`;
    expect(
      index.split('\n').filter((one) => one.startsWith(line) && one.endsWith(` | ${date} |`)),
    ).toHaveLength(1);
  });

  it('each have a number, and the index names those that nobody has', () => {
    const taken = decisions.map(numberOf);
    expect(new Set(taken).size).toBe(taken.length);
    const gaps = Array.from({ length: Math.max(...taken) }, (_, i) => i + 1).filter(
      (n) => !taken.includes(n),
    );
    const [, named = ''] = /No decision has the numbers ([\d, and]+), and/.exec(index) ?? [];
    expect(named.match(/\d+/g)?.map(Number)).toEqual(gaps);
  });
});

/** Links of a page to files of ours, from where the page lies. */
const linksOf = (page: string): string[] =>
  [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, to = '']) =>
    join(dirname(page), to),
  );
const pathsIn = (page: string): string[] =>
  [...read(page).matchAll(/`((?:src|backends|integration|docs|bin)\/[\w./-]*)`/g)].map(
    ([, path = '']) => path,
  );

describe('pages for those who carry on', () => {
  const pages = [
    ...['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md'],
    ...['docs', 'docs/rfd'].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.md'))
        .map((name) => join(folder, name)),
    ),
  ];

  it('link to what is there', () => {
    const missing = pages.flatMap((page) =>
      linksOf(page)
        .filter((to) => !existsSync(to))
        .map((to) => `${page}: ${to}`),
    );
    expect(missing).toEqual([]);
  });

  it('name rooms and files that are there', () => {
    expect(
      ['CONTRIBUTING.md', 'ARCHITECTURE.md'].flatMap(pathsIn).filter((path) => !existsSync(path)),
    ).toEqual([]);
    expect(pathsIn('CONTRIBUTING.md').length).toBeGreaterThan(10);
  });
});

describe('scripts of package.json', () => {
  it('are the same as those of make', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const targets = /^\.PHONY: (.*)$/m.exec(read('Makefile'))?.[1]?.split(' ') ?? [];
    for (const [name, command] of Object.entries(scripts)) {
      const target = name === 'start' ? 'run' : name;
      expect(command).toBe(`make ${target}`);
      expect(targets).toContain(target);
    }
    expect(Object.keys(scripts)).toEqual(
      expect.arrayContaining(['test', 'check', 'unit', 'integration', 'build']),
    );
  });
});
