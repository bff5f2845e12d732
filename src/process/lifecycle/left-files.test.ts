import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeLeftFiles } from './left-files.ts';

let dataDir = '';
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'left-files-'));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true });
});

it('what a killed process has not put in place is removed, and nothing else', () => {
  const proc = join(dataDir, 'proc');
  mkdirSync(join(proc, 'folder.99'), { recursive: true });
  const kept = [
    'node',
    'node.renewal.key',
    'node.refused-2026-12-01T00-00-00.000Z',
    'auth.7.tmp',
    'host_uuid',
  ];
  const left = ['node.99.tmp', 'node.renewal.key.99', 'node.renewal.key.99.99.tmp'];
  for (const name of [...kept, ...left]) writeFileSync(join(proc, name), 'a key');
  expect(removeLeftFiles(dataDir, (pid) => pid === 7).sort()).toEqual(left);
  expect(readdirSync(proc).sort()).toEqual([...kept, 'folder.99'].sort());
});

it('a directory without identities has none', () => {
  expect(removeLeftFiles(dataDir)).toEqual([]);
});
