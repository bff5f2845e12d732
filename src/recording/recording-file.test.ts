import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Chunk } from './chunk.ts';
import { ChunkCutter } from './chunk-cutter.ts';
import { createRecordingFile, openRecordingFile } from './recording-file.ts';
import { testAbout, testKey, testSid } from './testing.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recording-'));
  path = join(folder, 'one');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function chunks(count: number): Chunk[] {
  const cutter = new ChunkCutter({ sid: testSid, key: testKey, elapsedMs: () => 0, wallMs: () => 0 });
  return Array.from({ length: count }, (_, i) => {
    cutter.add({ type: 'output', bytes: Buffer.from(`chunk ${i}`) });
    const chunk = cutter.cut(i === count - 1);
    if (chunk === undefined) throw new Error('none');
    return chunk;
  });
}

async function readAll(mostBytes = 1_000_000): Promise<number[]> {
  await using file = await openRecordingFile(path);
  const numbers: number[] = [];
  for (;;) {
    const next = await file.next(mostBytes);
    if (next.length === 0) return numbers;
    numbers.push(...next.map(({ head }) => head.number));
  }
}

async function write(all: readonly Chunk[]): Promise<void> {
  const file = await createRecordingFile(path, { about: testAbout, sealedKey: 'AAAA' });
  for (const one of all) await file.write([one]);
  await file.close();
}

describe('a recording in a file', () => {
  it('cannot be a directory, nor lie where none is', async () => {
    await expect(openRecordingFile(folder)).rejects.toMatchObject({
      code: 'unavailable',
      message: `cannot read the recording ${folder}: EISDIR: illegal operation on a directory, read`,
    });
    await expect(openRecordingFile(path)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is read as it was written, in pieces of any size, for its owner alone', async () => {
    await write(chunks(5));
    expect(await readAll()).toEqual([0, 1, 2, 3, 4]);
    expect(await readAll(1)).toEqual([0, 1, 2, 3, 4]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await using file = await openRecordingFile(path);
    expect(file.preamble).toEqual({ about: testAbout, sealedKey: 'AAAA' });
    await file.next(1_000_000);
    expect(file.end).toMatchObject({ next: 5, isOver: true });
    file.rewind();
    expect(file.end.next).toBe(0);
    expect((await file.next(1)).length).toBe(1);
  });

  it('cut short at any byte has all chunks that are whole', async () => {
    const all = chunks(3);
    await write(all);
    const whole = readFileSync(path);
    const begin = whole.length - all.reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let length = begin; length <= whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      let [count, end] = [0, begin];
      for (const { bytes } of all) if ((end += bytes.length) <= length) count++;
      expect(await readAll()).toEqual([0, 1, 2].slice(0, count));
    }
    writeFileSync(path, whole.subarray(0, begin - 1));
    await expect(readAll()).rejects.toMatchObject({ code: 'damaged' });
  });

  it('ends for its readers where it was changed', async () => {
    const all = chunks(3);
    await write(all);
    const bytes = readFileSync(path);
    const last = all.at(-1)?.bytes.length ?? 0;
    bytes[bytes.length - last - 3] = (bytes[bytes.length - last - 3] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    expect(await readAll()).toEqual([0, 1]);
  });

  it('is not made twice, nor where nothing can be', async () => {
    await write(chunks(1));
    await expect(createRecordingFile(path, { about: testAbout })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(createRecordingFile('/nowhere/x', { about: testAbout })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  it('is no other file', async () => {
    await expect(readAll()).rejects.toMatchObject({ code: 'not_found' });
    const length = Buffer.alloc(4);
    length.writeUInt32BE(2);
    for (const bytes of [
      '',
      'TRF1',
      'hello, this is text',
      'TRF1\xff\xff\xff\xff',
      `TRF1${length.toString()}{}`,
    ]) {
      writeFileSync(path, Buffer.from(bytes, 'latin1'));
      await expect(readAll()).rejects.toMatchObject({ code: 'damaged' });
    }
  });

  it('on a full disk has what was written before, and goes on when there is space', async () => {
    const all = chunks(3);
    const file = await createRecordingFile('/dev/full', { about: testAbout }).catch((e: unknown) => e);
    expect(file).toMatchObject({ code: 'unavailable' });
    await write(all.slice(0, 2));
    expect(await readAll()).toEqual([0, 1]);
  });
});
