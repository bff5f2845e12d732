import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAt, syncFolder, writeDurably } from './durable-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'durable-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('files that last', () => {
  it('are for their owner alone, and are made, replaced or continued as is said', async () => {
    const path = join(folder, 'one');
    await writeDurably(path, Buffer.from('first'), 'wx');
    await expect(writeDurably(path, Buffer.from('x'), 'wx')).rejects.toThrow('EEXIST');
    await writeDurably(path, Buffer.from(' and more'), 'a');
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['first and more', 0o600]);
    await writeDurably(path, Buffer.from('other'), 'w');
    expect(readFileSync(path, 'utf8')).toBe('other');
    await syncFolder(folder);
    await expect(syncFolder(join(folder, 'none'))).rejects.toThrow('ENOENT');
  });

  it('are read in parts, which end where they do', async () => {
    const path = join(folder, 'one');
    await writeDurably(path, Buffer.from('0123456789'), 'w');
    const file = await open(path, 'r');
    const part = async (at: number, length: number) => (await readAt(file, at, length)).toString();
    expect([await part(0, 4), await part(7, 9), await part(10, 1), await part(0, 0)]).toEqual([
      ...['0123', '789', '', ''],
    ]);
    await file.close();
  });
});
