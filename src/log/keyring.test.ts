import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { keyringChain, keyringOf } from './keyring.ts';
import { changeKeyringFile, openExistingKeyring, openKeyring } from './keyring-file.ts';
import { addStoreKey, hasStoreKeyring, openStoreKeyring, removeStoreKeys } from './keyring-store.ts';
import { memoryDriver } from './memory-driver.ts';
import { wrappedUnder } from './wrapped-key.ts';

const dataKey = Buffer.alloc(32, 7);

describe('a keyring', () => {
  const key = (n: number): { id: string; key: Uint8Array } => ({
    id: n.toString(16).padStart(16, '0'),
    key: Buffer.alloc(32, n),
  });

  it('unwraps under older keys, and wraps under the newest', async () => {
    const old = await keyringOf([key(1)], realWorld).wrap(dataKey, 'k');
    const both = keyringOf([key(1), key(2)], realWorld);
    expect(Buffer.from(await both.unwrap(old, 'k'))).toEqual(dataKey);
    const wrapped = await both.wrap(dataKey, 'k');
    expect(Buffer.from(await keyringOf([key(2)], realWorld).unwrap(wrapped, 'k'))).toEqual(dataKey);
    await expect(keyringOf([key(1)], realWorld).unwrap(wrapped, 'k')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(key(2).id) as string,
    });
  });

  it('unwraps neither for another name nor what was changed', async () => {
    const keyring = keyringOf([key(1)], realWorld);
    const wrapped = Buffer.from(await keyring.wrap(dataKey, 'k'));
    await expect(keyring.unwrap(wrapped, 'l')).rejects.toMatchObject({ code: 'damaged' });
    for (let at = 0; at < wrapped.length; at++) {
      const changed = Buffer.from(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const code = expect.stringMatching(/damaged|unavailable/) as string;
      await expect(keyring.unwrap(changed, 'k')).rejects.toMatchObject({ code });
      await expect(keyring.unwrap(wrapped.subarray(0, at), 'k')).rejects.toMatchObject({ code: 'damaged' });
    }
  });
});

describe('the keyring file', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyring-'));
    path = join(directory, 'keyring');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('is made on first start, for its owner only, and kept', async () => {
    const wrapped = await (await openKeyring(path)).wrap(dataKey, 'k');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const text = readFileSync(path, 'utf8');
    expect(Buffer.from(await (await openKeyring(path)).unwrap(wrapped, 'k'))).toEqual(dataKey);
    expect(readFileSync(path, 'utf8')).toBe(text);
    expect(readdirSync(directory)).toEqual(['keyring']);
  });

  it('is refused when others can read it, naming the mend', async () => {
    await openKeyring(path);
    chmodSync(path, 0o640);
    await expect(openKeyring(path)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining(`chmod 0600 ${path}`) as string,
    });
  });

  it.each([
    '',
    '{}',
    '{"version":1,"keys":[]}',
    '{"version":2,"keys":[{"id":"0123456789abcdef","key":"AA=="}]}',
  ])('is refused and left alone when it holds %j', async (text) => {
    writeFileSync(path, text, { mode: 0o600 });
    await expect(openKeyring(path)).rejects.toMatchObject({ code: 'misconfigured' });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it('is refused when it is none: a directory, or what reading would wait at', async () => {
    const refused = {
      code: 'misconfigured',
      message: expect.stringContaining(`${path} is not a keyring`) as string,
    };
    mkdirSync(path, { mode: 0o700 });
    await expect(openKeyring(path)).rejects.toMatchObject(refused);
    await expect(openKeyring('/dev/null')).rejects.toMatchObject({ code: 'misconfigured' });
  });

  it('is refused when its directory is missing', async () => {
    await expect(openKeyring(join(directory, 'none', 'keyring'))).rejects.toMatchObject({
      code: 'misconfigured',
    });
  });
});

describe('a keyring file that is changed beside the process', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyring-'));
    path = join(directory, 'keyring');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });
  const added = { id: 'ffffffffffffffff', key: Buffer.alloc(32, 9) };

  it('seals under the new key at once, and opens under both', async () => {
    const ring = await openKeyring(path);
    const before = await ring.wrap(dataKey, 'k');
    await changeKeyringFile(path, (keys) => [...keys, added]);
    expect(await ring.newest()).toBe(added.id);
    const after = await ring.wrap(dataKey, 'k');
    expect(wrappedUnder(after)).toBe(added.id);
    for (const wrapped of [before, after])
      expect(Buffer.from(await ring.unwrap(wrapped, 'k'))).toEqual(dataKey);
    expect(readdirSync(directory)).toEqual(['keyring']);
  });

  it('opens by what was read before when it is gone, and seals nothing', async () => {
    const ring = await openKeyring(path);
    const wrapped = await ring.wrap(dataKey, 'k');
    rmSync(path);
    expect(Buffer.from(await ring.unwrap(wrapped, 'k'))).toEqual(dataKey);
    await expect(ring.wrap(dataKey, 'k')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await openExistingKeyring(path)).toBeUndefined();
  });

  it('is changed by one at a time', async () => {
    await openKeyring(path);
    writeFileSync(`${path}.lock`, '');
    await expect(changeKeyringFile(path, (keys) => [...keys, added])).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`${path}.lock`) as string,
    });
  });
});

describe('a keyring in the store', () => {
  it('is one for all, also when two make it at once, and knows keys that others add', async () => {
    const store = memoryDriver();
    expect(await hasStoreKeyring(store)).toBe(false);
    await Promise.all([addStoreKey(store), addStoreKey(store)]);
    const [one, other] = [openStoreKeyring(store), openStoreKeyring(store)];
    expect(await one.newest()).toBe(await other.newest());
    const old = await one.wrap(dataKey, 'k');
    const id = await addStoreKey(store);
    expect(await one.newest()).toBe(id);
    const fresh = await one.wrap(dataKey, 'k');
    expect(wrappedUnder(fresh)).toBe(id);
    for (const wrapped of [old, fresh])
      expect(Buffer.from(await other.unwrap(wrapped, 'k'))).toEqual(dataKey);
    await removeStoreKeys(store, (one) => one !== id);
    await expect(openStoreKeyring(store).unwrap(old, 'k')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('of an earlier release stays readable where it lies, gets its new keys in meta, and loses old ones from there', async () => {
    const store = memoryDriver();
    const older = { id: 'a'.repeat(16), key: Buffer.alloc(32, 1) };
    await store.vault.create(`key-encryption-key/00000007-${older.id}`, older.key);
    expect(await hasStoreKeyring(store)).toBe(true);
    const ring = openStoreKeyring(store);
    expect(await ring.newest()).toBe(older.id);
    const id = await addStoreKey(store);
    expect(await store.meta.list('')).toEqual([`key-encryption-key/00000008-${id}`]);
    expect(await openStoreKeyring(store).newest()).toBe(id);
    expect(await ring.newest()).toBe(id);
    const wrapped = await ring.wrap(dataKey, 'k');
    expect(await removeStoreKeys(store, (one) => one !== id)).toEqual([older.id]);
    expect(await store.vault.list('')).toEqual([]);
    expect(Buffer.from(await openStoreKeyring(store).unwrap(wrapped, 'k'))).toEqual(dataKey);
  });
});

describe('two keyrings, one after the other', () => {
  it('seal under the first and open under both', async () => {
    const [first, second] = [1, 2].map((n) =>
      keyringOf([{ id: String(n).repeat(16), key: Buffer.alloc(32, n) }], realWorld),
    );
    if (!first || !second) throw new Error('two were made');
    const chain = keyringChain(first, second);
    expect(wrappedUnder(await chain.wrap(dataKey, 'k'))).toBe('1'.repeat(16));
    const older = await second.wrap(dataKey, 'k');
    expect(Buffer.from(await chain.unwrap(older, 'k'))).toEqual(dataKey);
    expect(await chain.holds('2'.repeat(16))).toBe(true);
    await expect(keyringChain(first).unwrap(older, 'k')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
