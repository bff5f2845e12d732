import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mutant, planted } from './plant.ts';

/** A copy of the tree with all mutants of the sample in it, each switched off. */
export interface Copy {
  readonly root: string;
  /** Each test file leaves there which mutants it reached. */
  readonly reached: string;
  close(): void;
}

export function copyWith(root: string, mutants: readonly Mutant[]): Copy {
  const to = mkdtempSync(join(tmpdir(), 'mutants-'));
  const reached = join(to, 'reached');
  mkdirSync(reached);
  for (const name of ['src', 'backends', 'docs', 'examples', 'bin', 'package.json', 'tsconfig.json'])
    cpSync(join(root, name), join(to, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  for (const [path, own] of Map.groupBy(mutants, (one) => one.path))
    writeFileSync(join(to, path), planted(readFileSync(join(root, path), 'utf8'), own));
  writeFileSync(join(to, 'set-up.ts'), setUp);
  writeFileSync(join(to, 'vitest.config.ts'), configuration);
  return {
    root: to,
    reached,
    close: () => {
      rmSync(to, { recursive: true });
    },
  };
}

const setUp = `
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';

const active = Number(process.env.MUTANT);
const reached = new Set();
globalThis.__mutant = (id) => {
  reached.add(id);
  return id === active;
};
const to = process.env.REACHED;
if (to)
  afterAll(() => {
    const file = expect.getState().testPath;
    writeFileSync(join(to, file.replaceAll('/', '+')), JSON.stringify({ file, reached: [...reached] }));
  });
`;

const configuration = `
import { defineConfig } from 'vitest/config';
export default defineConfig({
  cacheDir: '.vite',
  test: {
    include: ['src/**/*.test.ts'],
    setupFiles: ['./set-up.ts'],
    testTimeout: Number(process.env.PATIENCE ?? 30_000),
    hookTimeout: Number(process.env.PATIENCE ?? 30_000),
    maxWorkers: Number(process.env.WORKERS ?? 1),
    // Which mutant is on is asked while the code runs: what is compiled is the same for all.
    experimental: { fsModuleCache: true },
  },
});
`;
