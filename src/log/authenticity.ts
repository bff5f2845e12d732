import { createHmac, hash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { vaultKey } from './data-keys.ts';
import type { Keyring } from './keyring.ts';
import type { BlobStore } from './slot-driver.ts';
import { wrappedUnder } from './wrapped-key.ts';

/**
 * The kind of content that a MAC covers. Each kind has a key of its own, so that no MAC is ever valid for
 * another kind.
 */
export type MacPurpose = 'batch' | 'snapshot' | 'milestone' | 'old slots' | 'terms' | 'segment';

export const macBytes = 32;
export const macKeyIdBytes = 8;

/**
 * Makes and checks the MACs of one log (HMAC-SHA256, RFD 0022). Making one requires the keyring: write access
 * to the store is not enough.
 */
export interface Authenticity {
  /** Of the key: 8 bytes, which reveal nothing about it. */
  readonly keyId: Buffer;
  mac(purpose: MacPurpose, content: Uint8Array): Buffer;
  /** In constant time. */
  holds(purpose: MacPurpose, content: Uint8Array, mac: Uint8Array): boolean;
  /**
   * Makes sure that the vault contains the key: a store that was restored from a backup may have lost it, and
   * data with MACs could not be opened again. @throws CodedError `unavailable` when it contains another, or
   * has destroyed it.
   */
  keep(): Promise<void>;
}

/**
 * Name of the key in the vault. It is wrapped like the data keys, so that a changed keyring rewraps it with
 * them. Its name does not begin with a time, as those of secrets do, so that it is never taken for an orphan.
 */
export const authenticityKeyId = 'log-authenticity';
const keyBytes = 32;

/** RFC 5869; `purpose` is the info. */
const derived = (key: Uint8Array, purpose: string, length: number): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `teleport log ${purpose}`, length));

/** @param keep does nothing for a key that is in no vault. */
export function authenticityOf(
  key: Uint8Array,
  keep: () => Promise<void> = () => Promise.resolve(),
): Authenticity {
  const keys: Readonly<Record<MacPurpose, Buffer>> = {
    batch: derived(key, 'batch', keyBytes),
    snapshot: derived(key, 'snapshot', keyBytes),
    milestone: derived(key, 'milestone', keyBytes),
    'old slots': derived(key, 'old slots', keyBytes),
    terms: derived(key, 'terms', keyBytes),
    segment: derived(key, 'segment', keyBytes),
  };
  const mac = (purpose: MacPurpose, content: Uint8Array): Buffer =>
    createHmac('sha256', keys[purpose]).update(content).digest();
  return {
    keyId: hash('sha256', derived(key, 'key id', keyBytes), 'buffer').subarray(0, macKeyIdBytes),
    mac,
    keep,
    holds: (purpose, content, given) => {
      const own = mac(purpose, content);
      return given.length === own.length && timingSafeEqual(own, given);
    },
  };
}

interface Parts {
  readonly vault: BlobStore;
  readonly keyring: Keyring;
  readonly world: Pick<World, 'randomBytes'>;
}

/**
 * The key in the vault; undefined when it has none.
 * @throws CodedError `unavailable` when the keyring lacks the key under which it is wrapped, or that key is
 *   out of reach; `damaged` when it is not what was wrapped.
 */
export async function readAuthenticity({
  vault,
  keyring,
}: Pick<Parts, 'vault' | 'keyring'>): Promise<Authenticity | undefined> {
  const wrapped = await vault.get(vaultKey(authenticityKeyId));
  if (wrapped === undefined) return undefined;
  const key = await keyring.unwrap(wrapped, authenticityKeyId);
  return authenticityOf(key, async () => {
    if ((await vault.get(vaultKey(authenticityKeyId))) === undefined) await keepKey({ vault, keyring }, key);
    const kept = await vault.get(vaultKey(authenticityKeyId));
    const same = kept && Buffer.from(await keyring.unwrap(kept, authenticityKeyId)).equals(key);
    if (same !== true) throw lostKey();
  });
}

/**
 * In the meantime the keyring may get a newer key, and a rewrapping of the vault may have passed this one.
 */
async function keepKey({ vault, keyring }: Pick<Parts, 'vault' | 'keyring'>, key: Uint8Array): Promise<void> {
  let wrapped = await keyring.wrap(key, authenticityKeyId);
  const outcome = await vault.create(vaultKey(authenticityKeyId), wrapped);
  while (outcome === 'created' && wrappedUnder(wrapped) !== (await keyring.newest())) {
    const again = await keyring.wrap(key, authenticityKeyId);
    if ((await vault.replace(vaultKey(authenticityKeyId), wrapped, again)) !== 'replaced') return;
    wrapped = again;
  }
}

const lostKey = (): CodedError =>
  new CodedError(
    'unavailable',
    'the key by which the log is authenticated is another in this store, or was destroyed there for good: copy the log to another store',
  );

/**
 * The same, made when there is none: of several processes that start at once one makes it.
 * @throws CodedError as `readAuthenticity`; `unavailable` when it was destroyed for good.
 */
export async function makeAuthenticity(parts: Parts): Promise<Authenticity> {
  const found = await readAuthenticity(parts);
  if (found) return found;
  await keepKey(parts, parts.world.randomBytes(keyBytes));
  const made = await readAuthenticity(parts);
  if (made === undefined) throw lostKey();
  return made;
}
