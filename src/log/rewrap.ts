import { CodedError, isCoded } from '../base/errors.ts';
import type { Keyring } from './keyring.ts';
import { dataKeyIds, vaultKey } from './data-keys.ts';
import type { BlobStore } from './slot-driver.ts';
import { wrappedUnder } from './wrapped-key.ts';

/** How many data keys are wrapped under which key-encryption key. */
export type Survey = ReadonlyMap<string, number>;

/** Shown for a data key in an unknown form. */
export const unreadable = 'no key that is known';

/** Data keys that are processed at once: over a network one after the other takes long. */
const atOnce = 8;

export async function surveyVault(vault: BlobStore): Promise<Survey> {
  const counts = new Map<string, number>();
  await each(await dataKeyIds(vault), async (keyId) => {
    const wrapped = await vault.get(vaultKey(keyId));
    if (wrapped === undefined) return;
    const name = nameOf(wrapped);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  return counts;
}

function nameOf(wrapped: Uint8Array): string {
  try {
    return wrappedUnder(wrapped);
  } catch (e) {
    if (isCoded(e, 'damaged')) return unreadable;
    throw e;
  }
}

export interface Rewrapped {
  /** The key under which all data keys are wrapped now, except those that are stuck. */
  readonly under: string;
  readonly rewrapped: number;
  /** Data keys that could not be unwrapped: they stay as they are. */
  readonly stuck: readonly { readonly keyId: string; readonly reason: string }[];
}

/**
 * Wraps every data key of the vault under the keyring's newest key. Each is replaced as a whole and only as
 * it was read, so that it can be stopped and begun again at any time, beside auth servers that read, seal and
 * destroy: a key destroyed in the meantime stays destroyed. The log does not change.
 * @param told is called from time to time with the number of those that are done.
 * @throws what the store throws; `unavailable` when the newest key is out of reach.
 */
export async function rewrapVault(
  vault: BlobStore,
  keyring: Keyring,
  told: (done: number) => void = () => undefined,
): Promise<Rewrapped> {
  let rewrapped = 0;
  // Keys that were sealed under the older key during a pass are found by the next.
  for (;;) {
    const under = await keyring.newest();
    const stuck: { keyId: string; reason: string }[] = [];
    let changed = 0;
    await each(await dataKeyIds(vault), async (keyId) => {
      const outcome = await rewrapOne(vault, keyring, keyId, under);
      if (outcome === 'rewrapped' && ++changed % 100 === 0) told(rewrapped + changed);
      if (typeof outcome === 'object') stuck.push({ keyId, reason: outcome.reason });
    });
    rewrapped += changed;
    if (changed === 0 && under === (await keyring.newest())) return { under, rewrapped, stuck };
  }
}

async function rewrapOne(
  vault: BlobStore,
  keyring: Keyring,
  keyId: string,
  under: string,
): Promise<'as it was' | 'rewrapped' | { readonly reason: string }> {
  const wrapped = await vault.get(vaultKey(keyId));
  if (wrapped === undefined) return 'as it was';
  let dataKey: Uint8Array;
  try {
    const name = wrappedUnder(wrapped);
    if (name === under) return 'as it was';
    // A key that is merely out of reach now ends the run; one that nobody here has does not.
    if (!(await keyring.holds(name))) return { reason: `it was sealed under the key ${name}` };
    dataKey = await keyring.unwrap(wrapped, keyId);
  } catch (e) {
    if (isCoded(e, 'damaged')) return { reason: e.message };
    throw e;
  }
  const again = await keyring.wrap(dataKey, keyId);
  // The old form is replaced only once it is known that the new one opens.
  if (!Buffer.from(await keyring.unwrap(again, keyId)).equals(dataKey))
    throw new CodedError('damaged', 'a data key does not come back from the new key: nothing was changed');
  // Another process may have rewrapped or destroyed it in the meantime: the next pass looks again.
  return (await vault.replace(vaultKey(keyId), wrapped, again)) === 'replaced' ? 'rewrapped' : 'as it was';
}

async function each(ids: readonly string[], act: (id: string) => Promise<void>): Promise<void> {
  const left = [...ids].reverse();
  const worker = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) await act(id);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
