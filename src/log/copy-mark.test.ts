import { beforeEach, describe, expect, it } from 'vitest';
import {
  changeMark,
  type CopyMark,
  markKey,
  readMark,
  refusedByMark,
  refuseUnfinished,
  removeMark,
  writeMark,
} from './copy-mark.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';

const begunAt = '2026-01-01T00:00:00.000Z';
const mark: CopyMark = { version: 1, kind: 'copy', id: 'c1', from: 'the old place', begunAt };
let store: MemoryStore;
beforeEach(() => {
  store = memoryStore();
});
const driver = () => memoryDriver(store);
const put = (document: unknown, where: 'meta' | 'snapshots' = 'meta'): void => {
  const text = typeof document === 'string' ? document : JSON.stringify(document);
  store[where].set(markKey, Buffer.from(text));
};
const taken = (message: RegExp) => ({
  code: 'already_exists',
  message: expect.stringMatching(message) as string,
});

describe('the mark of a copy', () => {
  it('is read as it was written, changed and removed', async () => {
    expect(await readMark(driver())).toBeUndefined();
    await writeMark(driver(), { kind: 'copy', id: 'c1', from: 'the old place', begunAt });
    expect(await readMark(driver())).toEqual(mark);
    const whole: CopyMark = { ...mark, kind: 'clone', wholeAt: begunAt };
    await changeMark(driver(), whole);
    expect(await readMark(driver())).toEqual(whole);
    await removeMark(driver());
    expect(await readMark(driver())).toBeUndefined();
  });

  it('is found and removed where an earlier release left it', async () => {
    put(mark, 'snapshots');
    expect(await readMark(driver())).toEqual(mark);
    await removeMark(driver());
    expect(await readMark(driver())).toBeUndefined();
  });

  it.each([
    '',
    'x',
    {},
    { ...mark, version: 2 },
    { ...mark, kind: 'theft' },
    { ...mark, id: 1 },
    { ...mark, from: undefined },
    { ...mark, begunAt: undefined },
    { ...mark, wholeAt: 1 },
    { ...mark, more: 1 },
  ])('is damaged as %j, and nobody opens the log over it', async (document) => {
    put(document);
    const damaged = { code: 'damaged', message: expect.stringContaining('cannot be read') as string };
    await expect(readMark(driver())).rejects.toMatchObject(damaged);
    for (const use of ['living', 'reading'] as const)
      await expect(refuseUnfinished(driver(), use)).rejects.toMatchObject(damaged);
  });

  it('of another is not written over', async () => {
    put({ ...mark, id: 'other' });
    await expect(writeMark(driver(), mark)).rejects.toMatchObject(taken(/has just begun$/));
    expect(await readMark(driver())).toMatchObject({ id: 'other' });
  });

  it('is not changed when another has removed or changed it meanwhile', async () => {
    await expect(changeMark(driver(), mark)).rejects.toMatchObject(taken(/begun or ended/));
    expect(await readMark(driver())).toBeUndefined();
    put(mark);
    const { meta, snapshots } = driver();
    const raced: typeof meta = {
      ...meta,
      get: async (key) => {
        const found = await meta.get(key);
        put({ ...mark, id: 'other' });
        return found;
      },
    };
    await expect(changeMark({ meta: raced, snapshots }, mark)).rejects.toMatchObject(taken(/begun or ended/));
    expect(await readMark(driver())).toMatchObject({ id: 'other' });
  });
});

describe('a store with a mark', () => {
  it.each([
    ['copy', /^a move into the store \(from the old place, begun at 2026-\S+\) has not ended/],
    ['import', /^the import of another archive into the store/],
    ['restore', /^the import of another archive into the store/],
    ['clone', /^the store holds a copy of the log of the old place, .*: name an empty store$/],
  ] as const)('of a %s takes nothing else', (kind, message) => {
    expect(refusedByMark({ ...mark, kind }, 'the store')).toMatchObject(taken(message));
  });

  it.each([
    ['copy', /the move from the old place begun at 2026-\S+ has not ended. Run the same tctl log move again/],
    ['clone', /the copy from .* tctl log copy again/],
    ['import', /the import from .* tctl log import again/],
    ['restore', /the restore from .* tctl log import again/],
  ] as const)('of a %s that has not ended is opened by nobody', async (kind, message) => {
    put({ ...mark, kind });
    for (const use of ['living', 'reading'] as const)
      await expect(refuseUnfinished(driver(), use)).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(message) as string,
      });
  });

  it('of a whole copy is opened for reading only', async () => {
    put({ ...mark, kind: 'clone', wholeAt: begunAt });
    await refuseUnfinished(driver(), 'reading');
    await expect(refuseUnfinished(driver())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('tctl log promote') as string,
    });
  });

  it('is opened without one', async () => {
    await refuseUnfinished(driver());
    await refuseUnfinished(driver(), 'reading');
  });
});
