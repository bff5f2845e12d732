import { CodedError } from '../base/errors.ts';
import { vaultKey } from './data-keys.ts';
import type { Keyring } from './keyring.ts';
import type { BlobStore } from './slot-driver.ts';

/**
 * Secrets in the vault that belong to no event, by a name: small ones, such as keys of what is kept outside
 * the log. Each is wrapped under the keyring, rewrapped with it, copied with the log, and can be destroyed in
 * every copy that shares the vault.
 */
export interface NamedKeys {
  /**
   * `exists`: there is one by this name, perhaps another one. `destroyed`: there was one, and there never
   * will be again.
   * @throws CodedError `unavailable` when the vault or the keyring is out of reach.
   */
  create(name: string, secret: Uint8Array): Promise<'created' | 'exists' | 'destroyed'>;
  /** Undefined when there is none, or it was destroyed. @throws CodedError `unavailable`, `damaged` */
  open(name: string): Promise<Uint8Array | undefined>;
  /** For good. */
  destroy(name: string): Promise<void>;
  /** Removes it without a trace: the name may be used again. For what is not kept any more. */
  forget(name: string): Promise<void>;
}

/** The names of data keys of events begin with a UUID; these cannot. */
const shape = /^[a-z]+\.[A-Za-z0-9-]{1,64}$/;

const keyOf = (name: string): string => {
  if (!shape.test(name)) throw new CodedError('bad_request', `not a name for a key: ${JSON.stringify(name)}`);
  return vaultKey(name);
};

export const namedKeys = (vault: BlobStore, keyring: Keyring): NamedKeys => ({
  create: async (name, secret) => vault.create(keyOf(name), await keyring.wrap(secret, name)),
  open: async (name) => {
    const wrapped = await vault.get(keyOf(name));
    return wrapped && keyring.unwrap(wrapped, name);
  },
  destroy: (name) => vault.destroy(keyOf(name)),
  forget: (name) => vault.remove(keyOf(name)),
});
