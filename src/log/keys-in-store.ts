import { CodedError } from '../base/errors.ts';
import { storeKeyIds, type StoreKeyPlaces } from './keyring-store.ts';
import { surveyVault } from './rewrap.ts';

/** The keys in the store itself under which data keys are still wrapped. */
export async function storeKeysInUse(places: StoreKeyPlaces): Promise<string[]> {
  const own = new Set(await storeKeyIds(places));
  if (own.size === 0) return [];
  return [...(await surveyVault(places.vault)).keys()].filter((name) => own.has(name));
}

/**
 * Copying data keys from a store that opens them itself would copy all of the cluster.
 * @param what the operation, and the flag that accepts this.
 * @throws CodedError `bad_request` when the store holds keys that are in use.
 */
export async function refuseStoreKeys(places: StoreKeyPlaces, what: string): Promise<void> {
  const used = await storeKeysInUse(places);
  if (used.length > 0)
    throw new CodedError(
      'bad_request',
      `secrets are sealed under keys that are in the store itself (${used.join(', ')}): ${what} alone would open every secret of the cluster. ` +
        'Set storage.key_file or storage.kms_key_id and run tctl log rekey first; or accept it with --with-store-keys',
    );
}
