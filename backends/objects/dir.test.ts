import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryObjects } from '../../src/base/memory-objects.ts';
import { objectStoreConforms } from './conformance.ts';
import { openDirectoryObjects } from './dir.ts';

let path = '';
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'objects-'));
});
afterEach(() => {
  rmSync(path, { recursive: true });
});

describe('objects in a directory', () => {
  objectStoreConforms(() => ({ open: () => openDirectoryObjects(join(path, 'objects')) }));

  it('are files for their owner alone', async () => {
    const objects = await openDirectoryObjects(join(path, 'objects'));
    await objects.put('a/b.segment', Buffer.from('x'));
    const modeOf = (name: string): number => statSync(join(path, name)).mode & 0o777;
    expect([modeOf('objects'), modeOf('objects/a'), modeOf('objects/a/b.segment')]).toEqual([
      0o700, 0o700, 0o600,
    ]);
    expect(readFileSync(join(path, 'objects/a/b.segment'), 'utf8')).toBe('x');
  });

  it('leave no part behind, and that of a process that died is deleted in time', async () => {
    const objects = await openDirectoryObjects(path);
    await objects.put('a', Buffer.from('x'));
    for (const [name, hoursAgo] of [
      ['.old.part', 25],
      ['.new.part', 1],
    ] as const) {
      writeFileSync(join(path, name), 'half');
      const at = Date.now() / 1_000 - hoursAgo * 3_600;
      utimesSync(join(path, name), at, at);
    }
    expect((await objects.list('')).map(({ name }) => name)).toEqual(['a']);
    await openDirectoryObjects(path);
    expect(readdirSync(path).sort()).toEqual(['.new.part', 'a']);
  });

  it('are not made by somebody who only reads, who finds none', async () => {
    const objects = await openDirectoryObjects(join(path, 'none'), { reading: true });
    expect([await objects.list(''), await objects.get('a')]).toEqual([[], undefined]);
    expect(readdirSync(path)).toEqual([]);
  });

  it('cannot be where a file is', async () => {
    writeFileSync(join(path, 'file'), '');
    const refused = { code: 'misconfigured', message: expect.stringContaining(join(path, 'file')) as string };
    await expect(openDirectoryObjects(join(path, 'file'))).rejects.toMatchObject(refused);
    const objects = await openDirectoryObjects(path);
    await expect(objects.put('file/x', Buffer.from('x'))).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('objects in memory', () => {
  const shared = new Map<string, Uint8Array>();
  beforeEach(() => {
    shared.clear();
  });
  objectStoreConforms(() => ({ open: () => Promise.resolve(memoryObjects(shared)) }));
});
