import type { BlobStore } from './slot-driver.ts';

const prefix = 'data-key/';

export const vaultKey = (keyId: string): string => `${prefix}${keyId}`;

/**
 * The ids of all data keys in the vault, sorted: as they begin with a UUID of version 7, by the time they
 * were made.
 */
export const dataKeyIds = async (vault: BlobStore): Promise<string[]> =>
  (await vault.list(prefix)).map((key) => key.slice(prefix.length));

/**
 * Destroys data keys for good: none of these ids can ever be stored again, even by a write that is still on
 * its way.
 */
export async function destroyDataKeys(vault: BlobStore, keyIds: readonly string[]): Promise<void> {
  await Promise.all(keyIds.map((keyId) => vault.destroy(vaultKey(keyId))));
}

/** A vault of the previous release may also contain marks of a rewrapping, which have no meaning any more. */
export const isLasting = (key: string): boolean => !key.startsWith('rewrap/');
