import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  encodeBlob,
  encodeJson,
  entryDigest,
  type EntryKind,
  firstDigest,
  kinds,
  magic,
  prefixOf,
} from './archive-format.ts';
import { openArchive } from './archive-read.ts';
import { exportLog } from './archive-write.ts';
import { add, cause, fact, open } from './copy-testing.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { ownHash } from './own-hash.ts';
import { collect } from './testing.ts';

let directory: string;
let path: string;
let store: MemoryStore;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'archive-'));
  path = join(directory, 'log.archive');
  store = memoryStore();
  const log = await open(store);
  await add(log, 'state', 'a-1', fact(0));
  for (let n = 0; n < 6; n++) await add(log, 'presence', 'a-1', fact(n));
  await log.close();
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const write = () =>
  exportLog(path, {
    ...{ source: memoryDriver(store), from: 'here', exportedAt: cause.at },
    ...{ secrets: true, storeKeys: false },
  });

type Entry = readonly [kind: number, payload: Uint8Array];
/** A file whose digests are all right, whatever is in it: as somebody makes one on purpose. */
function made(...entries: Entry[]): void {
  let digest = firstDigest;
  const parts: Uint8Array[] = [magic];
  for (const [kind, payload] of entries) {
    const prefix = prefixOf(kind as EntryKind, payload.length);
    digest = entryDigest(digest, prefix, payload);
    parts.push(prefix, payload, digest);
  }
  writeFileSync(path, Buffer.concat(parts));
}
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const about = { version: 1, exportedAt: cause.at, from: 'here', secrets: false } as const;
const header: Entry = [kinds.header, encodeJson(about)];
const counted = { partitions: [], snapshots: 0, dataKeys: 0 };
const end: Entry = [kinds.end, encodeJson(counted)];
const ofState = (lastSlot: number) => ({
  ...{ partition: 'state', firstSlot: 1, lastSlot, events: 1, bytes: 1, head: '' },
});

describe('an archive whose digests are right', () => {
  it('is opened when it has a header and an end', async () => {
    made(header, end);
    const archive = await openArchive(path);
    expect([archive.header, archive.end]).toEqual([about, counted]);
    expect(await archive.driver.bounds('audit')).toEqual({ floor: 1, head: 0 });
    await archive.close();
  });

  it.each<[string, Entry[], RegExp]>([
    ['nothing in it', [], /cut off: its end is missing$/],
    ['no end', [header], /cut off: its end is missing$/],
    ['no header', [end], /at byte 23: the header is not the first entry/],
    ['two headers', [header, header, end], /at byte \d+: the header is not the first entry/],
    ['something after its end', [header, end, end], /at byte \d+: something follows the end/],
    ['an entry of another kind', [header, [6, Buffer.alloc(9)], end], /entries of kind 6 are not known/],
    ['a header that is no JSON', [[kinds.header, Buffer.from('{')], end], /understand the header/],
    ['a later header', [[kinds.header, json({ ...about, version: 2 })], end], /understand the header/],
    ['more in its header', [[kinds.header, json({ ...about, more: 1 })], end], /understand the header/],
    ['an end without counts', [header, [kinds.end, json({ partitions: [] })]], /understand the end/],
    [
      'a partition that is none',
      [header, [kinds.end, json({ ...counted, partitions: [{ ...ofState(0), partition: 'x' }] })]],
      /understand the end/,
    ],
    ['a batch that is none', [header, [kinds.batch, Buffer.alloc(9)], end], /at byte \d+: too short/],
    ['a snapshot without a key', [header, [kinds.snapshot, Buffer.alloc(1)], end], /a key is cut off/],
    [
      'a data key whose name is cut off',
      [header, [kinds.dataKey, encodeBlob('key', Buffer.alloc(0)).subarray(0, -1)], end],
      /a key is cut off/,
    ],
    [
      'fewer slots than its end counts',
      [header, [kinds.end, json({ ...counted, partitions: [ofState(2)] })]],
      /does not hold the slots of state that its end counts$/,
    ],
  ])('is damaged with %s', async (_what, entries, message) => {
    made(...entries);
    await expect(openArchive(path)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is damaged with more slots than its end counts', async () => {
    const batch = store.slots.get('state')?.get(1) ?? expect.unreachable();
    const ends = (lastSlot: number): Entry => [
      kinds.end,
      json({ ...counted, partitions: [ofState(lastSlot)] }),
    ];
    made(header, [kinds.batch, batch], ends(1));
    await (await openArchive(path)).close();
    made(header, [kinds.batch, batch], ends(0));
    await expect(openArchive(path)).rejects.toMatchObject({ code: 'damaged' });
  });

  it('is none of another version', async () => {
    writeFileSync(path, Buffer.from('teleport log archive 2\n'));
    await expect(openArchive(path)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/is not an archive of a log that this version reads$/) as string,
    });
  });
});

describe('an archive as a store', () => {
  it('is read like one, from any slot and after any that it has', async () => {
    await write();
    const opened = await openArchive(path);
    const slotsFrom = async (from: number, after?: Uint8Array): Promise<number[]> =>
      (await collect(opened.driver.read('presence', from, after && Buffer.from(after)))).map(
        ({ slot }) => slot,
      );
    const stored = store.slots.get('presence')?.get(3) ?? expect.unreachable();
    expect(await slotsFrom(4)).toEqual([4, 5, 6]);
    expect(await slotsFrom(4, ownHash(stored))).toEqual([4, 5, 6]);
    await expect(slotsFrom(5, ownHash(stored))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(slotsFrom(9, ownHash(stored))).rejects.toMatchObject({ code: 'unavailable' });
    await opened.close();
  });

  it('takes nothing', async () => {
    await write();
    const opened = await openArchive(path);
    const archive = opened.driver;
    const [key = ''] = await archive.vault.list('');
    const value = new Uint8Array();
    for (const refused of [
      () => archive.append('state', { slot: 2, hash: Buffer.alloc(32) }, value),
      () => archive.load('state', []),
      () => archive.trim('state', 2),
      () => archive.vault.create('x', value),
      () => archive.vault.replace(key, value, value),
      () => archive.vault.destroy(key),
      () => archive.vault.remove(key),
    ])
      await expect(refused()).rejects.toMatchObject({
        code: 'unavailable',
        message: 'an archive is for reading only',
      });
    expect(await archive.vault.list('')).toEqual([key]);
    await opened.close();
  });
});
