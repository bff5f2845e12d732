import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { realWorld } from '../../base/world.ts';
import type { Keyring } from '../../log/keyring.ts';
import { memoryDriver } from '../../log/memory-driver.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { wrappedUnder } from '../../log/wrapped-key.ts';
import { type KeyringSettings, openLogKeyring } from './open-keyring.ts';

let directory: string;
let store: SlotDriver;
let sink: ReturnType<typeof recordingSink>;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keys-'));
  store = memoryDriver();
  sink = recordingSink();
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const local: KeyringSettings = {
  get dataDir() {
    return directory;
  },
  keys: { status: 'data-dir' },
  previousKeys: [],
  storage: { type: 'dir', path: '/x' },
};
/** Only the type counts here. */
const shared = { ...local, storage: { type: 'etcd' } } as unknown as KeyringSettings;
const inFile = (name: string, settings = shared): KeyringSettings => ({
  ...settings,
  dataDir: join(directory, 'none'),
  keys: { status: 'file', path: join(directory, name) },
});
const open = (settings: KeyringSettings): Promise<Keyring> =>
  openLogKeyring(settings, { store, world: realWorld, sink });

async function sealOne(keyring: Keyring, name = 'k'): Promise<string> {
  const wrapped = await keyring.wrap(Buffer.alloc(32), name);
  await store.vault.create(`data-key/${name}`, wrapped);
  return wrappedUnder(wrapped);
}

describe('the keys of an empty store', () => {
  it('are made in data_dir on a machine of its own, and where key_file says', async () => {
    await open({ ...local, dataDir: directory });
    expect(readdirSync(directory)).toEqual(['keyring']);
    await open(inFile('shared'));
    expect(readdirSync(directory)).toEqual(['keyring', 'shared']);
    expect(sink.lines.filter((line) => line.startsWith('warn'))).toEqual([]);
  });

  it('lie in a store that machines share when nothing else is said, with a warning, and are the same for all', async () => {
    const one = await open({ ...shared, dataDir: join(directory, 'a') });
    const name = await sealOne(one);
    const other = await open({ ...shared, dataDir: join(directory, 'b') });
    expect(await other.newest()).toBe(name);
    expect(sink.lines.join('\n')).toContain('whoever reads the store holds the authorities');
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a store with secrets', () => {
  it('gets no new keyring in the place of one that is missing, and the key is named', async () => {
    const name = await sealOne(await open(inFile('shared')));
    for (const settings of [
      inFile('other'),
      { ...local, dataDir: directory },
      { ...shared, dataDir: directory },
    ])
      await expect(open(settings)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining(name) as string,
      });
    expect(readdirSync(directory)).toEqual(['shared']);
  });

  it('is refused with a keyring of others, and the key is named', async () => {
    await open(inFile('other'));
    const name = await sealOne(await open(inFile('shared')));
    await expect(open(inFile('other'))).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining(name) as string,
    });
  });

  it('opens by the former keyring until it is rewrapped', async () => {
    await open(inFile('fresh'));
    const old = await open(inFile('shared'));
    await sealOne(old);
    const both = await open({
      ...inFile('fresh'),
      previousKeys: [{ status: 'file', path: join(directory, 'shared') }],
    });
    expect(await both.holds(await old.newest())).toBe(true);
    expect(await both.newest()).not.toBe(await old.newest());
  });

  it('whose keys lie in it opens with a key file too, and says how to end that', async () => {
    await open(inFile('fresh'));
    const inStore = await open({ ...shared, dataDir: join(directory, 'a') });
    await sealOne(inStore);
    const both = await open(inFile('fresh'));
    expect(await both.holds(await inStore.newest())).toBe(true);
    expect(await both.newest()).not.toBe(await inStore.newest());
    expect(sink.lines.at(-1)).toContain('tctl log rekey');
  });
});
