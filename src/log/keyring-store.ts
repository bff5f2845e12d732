import { CodedError } from '../base/errors.ts';
import { allSettled } from '../base/settled.ts';
import { realWorld, type World } from '../base/world.ts';
import { type KeyEncryptionKey, type Keyring, keyringFrom, newKey } from './keyring.ts';
import type { BlobStore } from './slot-driver.ts';

const prefix = 'key-encryption-key/';
const nameShape = /^key-encryption-key\/(\d{8})-([0-9a-f]{16})$/;

/**
 * A keyring that lies in the store itself, for a store that several machines share when nothing better is configured.
 * It keeps secrets out of copies of the log alone; **whoever reads the whole store opens all of them**.
 * Each key is a blob of its own, so that two auth servers that start at once make two keys and both know both.
 */
export const openStoreKeyring = (
  vault: BlobStore,
  world: Pick<World, 'randomBytes'> = realWorld,
): Keyring => {
  let known: ReadonlyMap<string, KeyEncryptionKey> | undefined;
  return keyringFrom(
    async (as) => {
      // Only who has sealed, or meets a key it has not seen, waits for the store.
      if (known === undefined || known.size === 0 || as === 'now') known = await readKeys(vault, known);
      return [...known.values()];
    },
    world,
    'the store',
    'known',
  );
};

/** Whether the store holds such a keyring. */
export const hasStoreKeyring = async (vault: BlobStore): Promise<boolean> =>
  (await vault.list(prefix)).length > 0;

/** Adds a key that is the newest from then on. Answers its id. */
export async function addStoreKey(
  vault: BlobStore,
  world: Pick<World, 'randomBytes'> = realWorld,
): Promise<string> {
  const last = nameShape.exec((await vault.list(prefix)).at(-1) ?? '')?.[1] ?? '0';
  const { id, key } = newKey(world);
  await vault.put(`${prefix}${String(Number(last) + 1).padStart(8, '0')}-${id}`, key);
  return id;
}

/** Removes the keys for which `gone` holds. Answers their ids. */
export async function removeStoreKeys(vault: BlobStore, gone: (id: string) => boolean): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await vault.list(prefix)) {
    const id = nameShape.exec(name)?.[2];
    if (id === undefined || !gone(id)) continue;
    await vault.delete(name);
    removed.push(id);
  }
  return removed;
}

/**
 * By the names they have now, in their order. What a name stands for never changes: only new ones are read.
 */
async function readKeys(
  vault: BlobStore,
  known: ReadonlyMap<string, KeyEncryptionKey> | undefined,
): Promise<ReadonlyMap<string, KeyEncryptionKey>> {
  const names = await vault.list(prefix);
  const keys = await allSettled(
    names.map(async (name): Promise<[string, KeyEncryptionKey][]> => {
      const key = known?.get(name) ?? (await readKey(vault, name));
      return key ? [[name, key]] : [];
    }),
  );
  return new Map(keys.flat());
}

async function readKey(vault: BlobStore, name: string): Promise<KeyEncryptionKey | undefined> {
  const id = nameShape.exec(name)?.[2];
  const key = await vault.get(name);
  if (id === undefined || (key !== undefined && key.length !== 32))
    throw new CodedError('damaged', `${name} in the vault is not a key-encryption key`);
  return key && { id, key };
}
