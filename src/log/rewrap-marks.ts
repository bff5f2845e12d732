import { hour, type Instant, plusMs } from '../base/time.ts';

import type { BlobStore } from './slot-driver.ts';

/*
 * Rewrapping reads a data key and writes it back, and a secret may be destroyed between the two: it would come back to
 * life. So whoever rewraps leaves a mark first, and whoever destroys while there is one leaves a tombstone and deletes
 * once more. Whatever the order, the key ends up deleted: either the tombstone is there when the rewrapper looks for it
 * after writing, or the second deletion comes after that writing.
 */
const marks = 'rewrap/under-way/';
const tombstones = 'rewrap/destroyed/';
const dataKeys = 'data-key/';

/** True for what lasts: marks and tombstones mean nothing in a copy of the vault. */
export const isLasting = (key: string): boolean => !key.startsWith('rewrap/');

export const vaultKey = (keyId: string): string => `${dataKeys}${keyId}`;

/** The ids of all data keys in the vault, sorted: as they begin with a UUID of version 7, by the time they were made. */
export const dataKeyIds = async (vault: BlobStore): Promise<string[]> =>
  (await vault.list(dataKeys)).map((key) => key.slice(dataKeys.length));

/** Deletes data keys for good, also while the vault is rewrapped. */
export async function destroyDataKeys(vault: BlobStore, keyIds: readonly string[]): Promise<void> {
  for (const keyId of keyIds) await vault.delete(vaultKey(keyId));
  if (keyIds.length === 0 || (await vault.list(marks)).length === 0) return;
  for (const keyId of keyIds) {
    await vault.put(`${tombstones}${keyId}`, new Uint8Array());
    await vault.delete(vaultKey(keyId));
  }
}

/** A mark of one that died must not slow down for ever what it does not concern. */
const staleAfterMs = 24 * hour;

/** Leaves the mark. `runId` tells runs apart. Deletes what an earlier run that died may have brought back to life. */
export async function beginRewrap(vault: BlobStore, runId: string, now: Instant): Promise<void> {
  await vault.put(`${marks}${runId}`, Buffer.from(now));
  for (const mark of await vault.list(marks)) {
    const since = Buffer.from((await vault.get(mark)) ?? Buffer.from(now)).toString();
    if (since < plusMs(now, -staleAfterMs)) await vault.delete(mark);
  }
  for (const keyId of await tombstoned(vault)) await vault.delete(vaultKey(keyId));
}

/** After a data key was written back: deletes it when it was destroyed meanwhile. Answers whether it stayed. */
export async function stillWanted(vault: BlobStore, keyId: string): Promise<boolean> {
  if ((await vault.get(`${tombstones}${keyId}`)) === undefined) return true;
  await vault.delete(vaultKey(keyId));
  return false;
}

/** Takes the mark away; the last one clears the tombstones, since data key ids never come again. */
export async function endRewrap(vault: BlobStore, runId: string): Promise<void> {
  const buried = await tombstoned(vault);
  await vault.delete(`${marks}${runId}`);
  if ((await vault.list(marks)).length > 0) return;
  for (const keyId of buried) {
    await vault.delete(vaultKey(keyId));
    await vault.delete(`${tombstones}${keyId}`);
  }
}

const tombstoned = async (vault: BlobStore): Promise<string[]> =>
  (await vault.list(tombstones)).map((key) => key.slice(tombstones.length));
