import { beforeEach, describe, expect, it } from 'vitest';
import type { LogSink } from '../base/log-sink.ts';
import { silentLog } from '../base/log-sink.ts';
import { memoryObjects } from '../base/memory-objects.ts';
import { realWorld } from '../base/world.ts';
import type { ClusterLog } from './event-log.ts';
import type { Recorded } from './event.ts';
import { memoryKeyring } from './keyring.ts';
import { copyOfStore, memoryDriver, type MemoryStore, memoryStore, putBackStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import { chapterBytes, eventsInChapter, eventsInPart, filterOf, readChapter } from './term-chapter.ts';
import { termsFolder } from './terms-folder.ts';
import type { Part, Terms } from './terms.ts';

const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' };
const stream = 'audit-a';
const keyring = memoryKeyring(realWorld);
const colours: Terms = {
  name: 'colours.1',
  of: ({ fact }: Recorded) => (fact.data as { of?: string[] }).of ?? [],
};
const folder = `${termsFolder('audit')}${colours.name}/`;
const keys = (): string[] =>
  [...store.snapshots.keys()]
    .filter((key) => key.startsWith(folder))
    .map((key) => key.slice(folder.length))
    .sort();

let store: MemoryStore;
let log: ClusterLog;
let told: string[];

async function open(): Promise<ClusterLog> {
  const sink: LogSink = { ...silentLog, warn: (text) => told.push(text) };
  return openLog({ driver: memoryDriver(store), keyring, world: realWorld, writer: 'w', sink });
}

beforeEach(async () => {
  told = [];
  store = memoryStore();
  log = await open();
  return () => log.close();
});

/** Appends until there are so many events; those at the named positions have these terms, all have `all`. */
async function fill(count: number, named: Readonly<Record<number, readonly string[]>> = {}): Promise<void> {
  for (let at = await log.audit.head(); at < count;) {
    // Batches do not end where parts do.
    const size = Math.min(500, count - at);
    const facts = Array.from({ length: size }, (_, i) => ({
      type: 'x',
      data: { of: ['all', ...(named[at + i + 1] ?? [])] },
    }));
    const expected = await log.audit.revision(stream);
    at = await log.audit.append([{ stream, expected, facts }], cause);
  }
}

async function index(of: ClusterLog = log): Promise<void> {
  while ((await of.audit.indexTerms(colours)).isBehind);
}

/** By numbers of parts. */
const partsWith = async (wanted: string[][], after = 0, of = log): Promise<[number, number][]> =>
  (await of.audit.partsWith(colours, wanted, after)).map((part: Part) => [
    part.after / eventsInPart,
    part.upTo / eventsInPart,
  ]);

/** The same chapter of the same batches, without a MAC, by which nothing is found. */
function withoutTerms(bytes: Buffer): Buffer {
  const id = { partition: 'audit', terms: colours.name, chapter: 0 };
  const chapter = readChapter(bytes, id, { authenticity: undefined, isAuthentic: true });
  const parts = chapter.parts.map(({ end }) => ({ end, filter: filterOf(new Set()) }));
  return Buffer.from(chapterBytes({ ...chapter, parts }, undefined));
}

describe('an index of terms', () => {
  it('names the parts in which an event may be, and everything that it does not know', async () => {
    await fill(4 * eventsInPart + 1, {
      1: ['red'],
      [eventsInPart]: ['green'],
      [eventsInPart + 1]: ['blue'],
      [3 * eventsInPart]: ['red', 'blue'],
    });
    const rest = 1 / eventsInPart;
    expect(await partsWith([['red']])).toEqual([[0, 4 + rest]]);
    expect(await log.audit.indexTerms(colours)).toEqual({ upTo: 4 * eventsInPart, isBehind: false });
    expect(keys()).toEqual(['00000000-04']);
    expect(await partsWith([['red']])).toEqual([
      [0, 1],
      [2, 3],
      [4, 4 + rest],
    ]);
    expect(await partsWith([['green']])).toEqual([
      [0, 1],
      [4, 4 + rest],
    ]);
    expect(await partsWith([['green', 'blue']])).toEqual([
      [0, 3],
      [4, 4 + rest],
    ]);
    expect(await partsWith([['red'], ['blue']])).toEqual([
      [2, 3],
      [4, 4 + rest],
    ]);
    expect(await partsWith([['yellow']], eventsInPart)).toEqual([[4, 4 + rest]]);
    expect(await partsWith([['red']], 2.5 * eventsInPart)).toEqual([
      [2.5, 3],
      [4, 4 + rest],
    ]);
    expect(await partsWith([])).toEqual([[0, 4 + rest]]);
    expect(await partsWith([['all']])).toEqual([[0, 4 + rest]]);
  });

  it('goes on where it ended, over many chapters, and keeps one blob of each', async () => {
    await fill(2 * eventsInPart, { 5: ['red'] });
    await index();
    expect(keys()).toEqual(['00000000-02']);
    await fill(eventsInChapter + 3 * eventsInPart, { [eventsInChapter + 1]: ['red'] });
    expect(await log.audit.indexTerms(colours)).toEqual({ upTo: eventsInChapter, isBehind: true });
    expect(await log.audit.indexTerms(colours)).toEqual({
      upTo: eventsInChapter + 3 * eventsInPart,
      isBehind: false,
    });
    expect(keys()).toEqual(['00000000-16', '00000001-03']);
    expect(await partsWith([['red']])).toEqual([
      [0, 1],
      [16, 17],
    ]);
    // Another process needs nothing but the store.
    const other = await open();
    expect(await partsWith([['red']], 0, other)).toEqual([
      [0, 1],
      [16, 17],
    ]);
    await other.close();
    expect(told).toEqual([]);
  });

  it('is the same whoever writes it', async () => {
    await fill(3 * eventsInPart, { 5: ['red'] });
    const other = await open();
    await Promise.all([index(), index(other)]);
    const [key = ''] = keys();
    const bytes = store.snapshots.get(folder + key);
    store.snapshots.delete(folder + key);
    await index(other);
    expect(keys()).toEqual([key]);
    expect(store.snapshots.get(folder + key)).toEqual(bytes);
    await other.close();
  });

  it.each([
    ['was changed', (bytes: Buffer) => Buffer.from(bytes.fill(0, bytes.length - 8))],
    ['was cut', (bytes: Buffer) => bytes.subarray(0, 50)],
    ['is empty', () => Buffer.alloc(0)],
    ['was written without the keyring', withoutTerms],
  ])('that %s hides nothing, is told, and is made once more', async (_what, spoil) => {
    await fill(2 * eventsInPart, { 5: ['red'] });
    await index();
    const key = `${folder}00000000-02`;
    const sound = store.snapshots.get(key) ?? expect.unreachable();
    store.snapshots.set(key, spoil(Buffer.from(sound)));
    await log.close();
    log = await open();
    expect(await partsWith([['red']])).toEqual([[0, 2]]);
    expect(told).toEqual([expect.stringContaining('is passed over')]);
    await index();
    expect(await partsWith([['red']])).toEqual([[0, 1]]);
    expect(store.snapshots.get(key)).toEqual(sound);
  });

  it('in the place of another hides nothing', async () => {
    await fill(eventsInChapter + eventsInPart, { [eventsInChapter + 1]: ['red'] });
    await index();
    const first = store.snapshots.get(`${folder}00000000-16`) ?? expect.unreachable();
    store.snapshots.set(`${folder}00000001-16`, first);
    store.snapshots.set(`${folder}00000001-01`, first);
    await log.close();
    log = await open();
    expect(await partsWith([['red']], eventsInChapter)).toEqual([[16, 17]]);
  });

  it('of what the store has lost is not used, nor of what another branch had there', async () => {
    await fill(eventsInPart);
    await index();
    const before = copyOfStore(store);
    await fill(5 * eventsInPart, { [2 * eventsInPart]: ['red'] });
    await index();
    const key = `${folder}00000000-05`;
    const lost = store.snapshots.get(key) ?? expect.unreachable();
    putBackStore(store, before);
    await expect(log.audit.head()).rejects.toMatchObject({ code: 'unavailable' });
    await log.recover('audit', 'go on', cause);
    await fill(3 * eventsInPart + 100, { [2 * eventsInPart + 1]: ['red'] });
    // Somebody has a copy of it.
    store.snapshots.set(key, lost);
    const rest = 100 / eventsInPart;
    expect(await partsWith([['red']])).toEqual([[0, 3 + rest]]);
    await log.close();
    log = await open();
    await index();
    expect(await partsWith([['red']])).toEqual([[2, 3 + rest]]);
    expect(keys()).toEqual(['00000000-03']);
  });

  it('goes with what was deleted from the archive, and goes on behind that', async () => {
    await log.close();
    const withArchive = async (): Promise<ClusterLog> => {
      const archive = { objects: memoryObjects(values), keptMs: 1, retentionMs: 2 };
      const driver = memoryDriver(store);
      return openLog({ driver, keyring, world: realWorld, writer: 'w', sink: silentLog, archive });
    };
    const values = new Map<string, Uint8Array>();
    log = await withArchive();
    await fill(eventsInChapter + 2 * eventsInPart);
    await index();
    expect(keys()).toEqual(['00000000-16', '00000001-02']);
    for (let i = 0; i < 3; i++) await log.takeSnapshot('audit', [], { trim: true }, cause);
    expect(await log.audit.positionBefore('2020-01-01T00:00:00.000Z')).toBeGreaterThan(eventsInChapter);
    expect(keys()).toEqual(['00000001-02']);
    // A process that never saw them looks for them once.
    await log.close();
    log = await withArchive();
    await fill(2 * eventsInChapter + eventsInPart, { [2 * eventsInChapter + 5]: ['red'] });
    expect(await log.audit.indexTerms(colours)).toEqual({ upTo: 2 * eventsInChapter, isBehind: true });
    await index();
    expect(keys()).toEqual(['00000002-01']);
    expect(await partsWith([['red']], 2 * eventsInChapter)).toEqual([[32, 33]]);
  });
});
