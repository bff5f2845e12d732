import { createHmac, hash, hkdfSync, timingSafeEqual } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { vaultKey } from './data-keys.ts';
import type { Keyring } from './keyring.ts';
import type { BlobStore } from './slot-driver.ts';
import { wrappedUnder } from './wrapped-key.ts';

/** What a MAC is of: under a key of its own each, so that none is ever taken for another. */
export type MacPurpose = 'batch' | 'snapshot' | 'old slots';

export const macBytes = 32;
export const macKeyIdBytes = 8;

/**
 * Makes and checks the MACs of one log (HMAC-SHA256, RFD 0022). Whoever holds this has had the keyring: to write to the
 * store is not enough.
 */
export interface Authenticity {
  /** Of the key: 8 bytes, which say nothing of it. */
  readonly keyId: Buffer;
  mac(purpose: MacPurpose, content: Uint8Array): Buffer;
  /** In constant time. */
  holds(purpose: MacPurpose, content: Uint8Array, mac: Uint8Array): boolean;
}

/**
 * Name of the key in the vault, among the data keys and wrapped as they are: so a changed keyring rewraps it with them. It
 * does not begin with a moment, as those of secrets do: nobody takes it for one that no event refers to.
 */
export const authenticityKeyId = 'log-authenticity';
const keyBytes = 32;

/** RFC 5869; `purpose` is the info. */
const derived = (key: Uint8Array, purpose: string, length: number): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `teleport log ${purpose}`, length));

export function authenticityOf(key: Uint8Array): Authenticity {
  const keys: Readonly<Record<MacPurpose, Buffer>> = {
    batch: derived(key, 'batch', keyBytes),
    snapshot: derived(key, 'snapshot', keyBytes),
    'old slots': derived(key, 'old slots', keyBytes),
  };
  const mac = (purpose: MacPurpose, content: Uint8Array): Buffer =>
    createHmac('sha256', keys[purpose]).update(content).digest();
  return {
    keyId: hash('sha256', derived(key, 'key id', keyBytes), 'buffer').subarray(0, macKeyIdBytes),
    mac,
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
 * What the vault holds; undefined when it has none.
 * @throws CodedError `unavailable` when the keyring lacks the key it is wrapped under, or that key is out of reach;
 * `damaged` when it is not what was wrapped.
 */
export async function readAuthenticity({
  vault,
  keyring,
}: Pick<Parts, 'vault' | 'keyring'>): Promise<Authenticity | undefined> {
  const wrapped = await vault.get(vaultKey(authenticityKeyId));
  return wrapped && authenticityOf(await keyring.unwrap(wrapped, authenticityKeyId));
}

/**
 * The same, made when there is none: of several processes that start at once one makes it.
 * @throws CodedError as `readAuthenticity`; `unavailable` when it was destroyed for good.
 */
export async function makeAuthenticity(parts: Parts): Promise<Authenticity> {
  const found = await readAuthenticity(parts);
  if (found) return found;
  const { vault, keyring, world } = parts;
  const key = world.randomBytes(keyBytes);
  let wrapped = await keyring.wrap(key, authenticityKeyId);
  const outcome = await vault.create(vaultKey(authenticityKeyId), wrapped);
  // While it was stored, the keyring may have got a newer key, and whoever rewraps the vault have passed by.
  while (outcome === 'created' && wrappedUnder(wrapped) !== (await keyring.newest())) {
    const again = await keyring.wrap(key, authenticityKeyId);
    if ((await vault.replace(vaultKey(authenticityKeyId), wrapped, again)) !== 'replaced') break;
    wrapped = again;
  }
  const made = await readAuthenticity(parts);
  if (made === undefined)
    throw new CodedError(
      'unavailable',
      'the key by which the log is authenticated was destroyed in this store, and can never come again there: copy the log to another store',
    );
  return made;
}
