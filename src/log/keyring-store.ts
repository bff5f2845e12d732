import { CodedError } from '../base/errors.ts';
import { allSettled } from '../base/settled.ts';
import { realWorld, type World } from '../base/world.ts';
import { type KeyEncryptionKey, type Keyring, keyringFrom, newKey } from './keyring.ts';
import type { BlobStore, SlotDriver } from './slot-driver.ts';

const prefix = 'key-encryption-key/';
const nameShape = /^key-encryption-key\/(\d{8})-([0-9a-f]{16})$/;

/** Whether a value of this name is one of the keys below. */
export const isStoreKey = (name: string): boolean => name.startsWith(prefix);

/** Where the keys are: in `meta`; those that an earlier release made, in `vault`. */
export type StoreKeyPlaces = Pick<SlotDriver, 'meta' | 'vault'>;

/**
 * A keyring that is in the store itself, for a store that several machines share when nothing better is
 * configured. It protects secrets only in copies of the log alone; **anybody who can read the whole store can
 * open all of them**. Each key is a blob of its own, so that two auth servers that start at once make two
 * keys and both know both.
 */
export const openStoreKeyring = (
  places: StoreKeyPlaces,
  world: Pick<World, 'randomBytes'> = realWorld,
): Keyring => {
  let known: ReadonlyMap<string, KeyEncryptionKey> | undefined;
  return keyringFrom(
    async (as) => {
      // The store is read only by a process that seals, or meets an unknown key.
      if (known === undefined || known.size === 0 || as === 'now') known = await readKeys(places, known);
      return [...known.values()];
    },
    world,
    'the store',
    'known',
  );
};

/** Whether the store holds such a keyring. */
export const hasStoreKeyring = async (places: StoreKeyPlaces): Promise<boolean> =>
  (await placedKeys(places)).length > 0;

/** The ids of its keys, the oldest first. */
export const storeKeyIds = async (places: StoreKeyPlaces): Promise<string[]> =>
  (await placedKeys(places)).flatMap(({ name }) => nameShape.exec(name)?.[2] ?? []);

/** Adds a key that is the newest from then on. Returns its id. */
export async function addStoreKey(
  places: StoreKeyPlaces,
  world: Pick<World, 'randomBytes'> = realWorld,
): Promise<string> {
  const last = nameShape.exec((await placedKeys(places)).at(-1)?.name ?? '')?.[1] ?? '0';
  const { id, key } = newKey(world);
  const name = `${prefix}${String(Number(last) + 1).padStart(8, '0')}-${id}`;
  const outcome = await places.meta.create(name, key);
  if (outcome !== 'created') throw new CodedError('unavailable', `${name} ${outcome} in the store already`);
  return id;
}

/** Removes the keys for which `gone` holds, wherever they are. Returns their ids. */
export async function removeStoreKeys(
  places: StoreKeyPlaces,
  gone: (id: string) => boolean,
): Promise<string[]> {
  const removed: string[] = [];
  for (const { place, name } of await placedKeys(places)) {
    const id = nameShape.exec(name)?.[2];
    if (id === undefined || !gone(id)) continue;
    await place.destroy(name);
    removed.push(id);
  }
  return removed;
}

/** By their current names, in order. The value of a name never changes, so only new ones are read. */
async function readKeys(
  places: StoreKeyPlaces,
  known: ReadonlyMap<string, KeyEncryptionKey> | undefined,
): Promise<ReadonlyMap<string, KeyEncryptionKey>> {
  const keys = await allSettled(
    (await placedKeys(places)).map(async ({ place, name }): Promise<[string, KeyEncryptionKey][]> => {
      const key = known?.get(name) ?? (await readKey(place, name));
      return key ? [[name, key]] : [];
    }),
  );
  return new Map(keys.flat());
}

async function readKey(place: BlobStore, name: string): Promise<KeyEncryptionKey | undefined> {
  const id = nameShape.exec(name)?.[2];
  const key = await place.get(name);
  if (id === undefined || (key !== undefined && key.length !== 32))
    throw new CodedError('damaged', `${name} in the store is not a key-encryption key`);
  return key && { id, key };
}

interface PlacedKey {
  readonly place: BlobStore;
  readonly name: string;
}

/** The oldest first. */
async function placedKeys({ meta, vault }: StoreKeyPlaces): Promise<PlacedKey[]> {
  const lists = await Promise.all(
    [meta, vault].map(async (place) => (await place.list(prefix)).map((name) => ({ place, name }))),
  );
  return lists.flat().sort((a, b) => (a.name < b.name ? -1 : 1));
}
