import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFault, useCompileCache } from './compile-cache.ts';

describe('the folder of compiled code', () => {
  let root = '';
  let folder = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cache-'));
    folder = join(root, '.cache');
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });
  const use = (): string[] => {
    const said: string[] = [];
    useCompileCache(pathToFileURL(join(root, 'program.js')).href, (line) => said.push(line));
    return said;
  };

  it('is made for its owner alone to write in, whatever the umask, which stays as it was', () => {
    const before = process.umask(0);
    const said = use();
    expect(process.umask(before)).toBe(0);
    expect(said).toEqual([]);
    expect(lstatSync(folder).mode & 0o777).toBe(0o755);
    expect(cacheFault(folder)).toEqual({ status: 'usable' });
  });
  it('is not used where others can write in it, nor in a folder inside', () => {
    mkdirSync(join(folder, 'v1'), { recursive: true });
    for (const path of [folder, join(folder, 'v1')]) {
      chmodSync(path, 0o777);
      expect(use()).toEqual([
        `warning: ${path} can be written by others: compiled code is not kept there; remove it: rm -rf ${folder}`,
      ]);
      chmodSync(path, 0o755);
    }
  });
  it('is not used where it leads elsewhere', () => {
    mkdirSync(join(root, 'other'));
    symlinkSync(join(root, 'other'), folder);
    expect(cacheFault(folder)).toMatchObject({ status: 'faulty', why: 'is not a directory of its own' });
  });
  it.runIf(process.geteuid?.() === 0)('is not used where it belongs to somebody else', async () => {
    const { chownSync } = await import('node:fs');
    mkdirSync(folder);
    chownSync(folder, 4242, 4242);
    expect(cacheFault(folder)).toMatchObject({ status: 'faulty', why: 'belongs to uid 4242' });
    chownSync(root, 4242, 4242);
    expect(cacheFault(folder)).toEqual({ status: 'usable' });
  });
  it('is absent where it cannot be made', () => {
    expect(cacheFault(join(root, 'none', '.cache'))).toEqual({ status: 'absent' });
  });
});
