import { join } from 'node:path';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import { authenticityKeyId } from '../../log/authenticity.ts';
import { type Keyring, keyringChain, noKeyring } from '../../log/keyring.ts';
import { openExistingKeyring, openKeyring } from '../../log/keyring-file.ts';
import {
  addStoreKey,
  hasStoreKeyring,
  openStoreKeyring,
  type StoreKeyPlaces,
} from '../../log/keyring-store.ts';
import { dataKeyIds, vaultKey } from '../../log/data-keys.ts';
import type { BlobStore } from '../../log/slot-driver.ts';
import { wrappedUnder } from '../../log/wrapped-key.ts';
import type { Configuration } from '../configuration/configuration.ts';
import { openKeyService } from './open-backend.ts';
import type { KeySource } from '../configuration/storage-schema.ts';

export type KeyringSettings = Pick<Configuration, 'dataDir' | 'keys' | 'previousKeys' | 'storage'>;

export interface KeyringEnvironment {
  readonly store: StoreKeyPlaces;
  readonly world: World;
  readonly sink: LogSink;
}

/**
 * Where the keys are that seal from now on. `store` means that anybody who can read the store can open every
 * secret in it.
 */
export type SealingKeys =
  | { readonly status: 'file'; readonly path: string }
  | { readonly status: 'kms'; readonly keyId: string }
  | { readonly status: 'store' };

/**
 * Finds the keys that seal, without creating any: `storage.key_file`, `storage.kms_key_id`,
 * `<data_dir>/keyring` on a machine of its own; and in the store itself only when machines share it, neither
 * of the former is configured, and there is no keyring there.
 */
export async function sealingKeysOf(
  { keys, dataDir, storage }: KeyringSettings,
  store: StoreKeyPlaces,
  world: World,
): Promise<SealingKeys> {
  if (keys.status === 'file') return keys;
  if (keys.status === 'kms') return { status: 'kms', keyId: keys.keyId };
  const own = join(dataDir, 'keyring');
  if ((await openExistingKeyring(own, world)) !== undefined) return { status: 'file', path: own };
  if (await hasStoreKeyring(store)) return { status: 'store' };
  const shared = storage.type !== 'dir';
  // Sealed elsewhere: the file is missing, and a new key would not open anything.
  if (!shared || (await dataKeyIds(store.vault)).length > 0) return { status: 'file', path: own };
  return { status: 'store' };
}

/**
 * Opens the keyring that the configuration names. A file or a key in the store is made only while the store
 * holds no secrets; otherwise a new key would hide that the right one is missing.
 * @throws CodedError `misconfigured` when the keys of the store's secrets are not here, naming them.
 */
export async function openLogKeyring(settings: KeyringSettings, env: KeyringEnvironment): Promise<Keyring> {
  const { store, world, sink } = env;
  const sealing = await sealingKeysOf(settings, store, world);
  const first = await openSealing(sealing, settings, env);
  const others: Keyring[] = [];
  for (const source of settings.previousKeys) others.push(await openPrevious(source, env));
  if (sealing.status === 'store')
    sink.warn(
      'whoever reads the store holds the authorities, and whoever writes to it can add to the log: its keys are in it, because neither storage.key_file nor storage.kms_key_id is set',
    );
  else if (await hasStoreKeyring(store)) {
    others.push(openStoreKeyring(store, world));
    sink.warn(
      'the store still holds keys of its own, and whoever reads it opens what was sealed under them: run tctl log rekey, then tctl log rekey --remove-old',
    );
  }
  const keyring = keyringChain(first, ...others);
  await refuseStrangeSecrets(keyring, store.vault, sealing, sink);
  return keyring;
}

/**
 * For tools that append to a log, or check its MACs: its keyring, or none where it has no MACs. Creates
 * nothing.
 * @throws CodedError as `openLogKeyring`.
 */
export async function keyringForMacs(settings: KeyringSettings, env: KeyringEnvironment): Promise<Keyring> {
  const hasMacs = (await env.store.vault.get(vaultKey(authenticityKeyId))) !== undefined;
  return hasMacs ? openLogKeyring(settings, env) : noKeyring;
}

async function openSealing(
  sealing: SealingKeys,
  { keys }: KeyringSettings,
  env: KeyringEnvironment,
): Promise<Keyring> {
  const { store, world, sink } = env;
  switch (sealing.status) {
    case 'kms':
      if (keys.status !== 'kms') throw new Error('bug: keys of a key service that is not configured');
      return openKeyService(keys, env);
    case 'file': {
      const existing = await openExistingKeyring(sealing.path, world);
      if (existing !== undefined) return existing;
      const names = await keyNamesIn(store.vault);
      if (names.length > 0) throw withoutFile(sealing.path, names);
      sink.info('a keyring is made: whoever loses it loses every secret on the log', { path: sealing.path });
      return openKeyring(sealing.path, world);
    }
    case 'store':
      if (!(await hasStoreKeyring(store))) await addStoreKey(store, world);
      return openStoreKeyring(store, world);
  }
}

const withoutFile = (path: string, names: readonly string[]): CodedError =>
  new CodedError(
    'misconfigured',
    `there is no keyring ${path}, but the store holds secrets sealed under the key ${names.join(', ')}: ` +
      'copy the keyring of the auth server that made them (its storage.key_file or <data_dir>/keyring), or restore it from a backup',
  );

async function openPrevious(source: KeySource, env: KeyringEnvironment): Promise<Keyring> {
  if (source.status === 'kms') return openKeyService(source, env);
  if (source.status === 'data-dir') throw new Error('bug: a keyring in data_dir is never named as previous');
  const keyring = await openExistingKeyring(source.path, env.world);
  if (keyring === undefined)
    throw new CodedError('misconfigured', `storage.previous_key_file: there is no ${source.path}`);
  return keyring;
}

/**
 * How many are tried in large vaults: the first secrets are those of the authorities, the last the newest.
 */
const sampled = 32;

async function keyNamesIn(vault: BlobStore): Promise<string[]> {
  const ids = await dataKeyIds(vault);
  const names = new Set<string>();
  for (const id of new Set([...ids.slice(0, sampled), ...ids.slice(-sampled)])) {
    const wrapped = await vault.get(vaultKey(id));
    if (wrapped === undefined) continue;
    try {
      names.add(wrappedUnder(wrapped));
    } catch (e) {
      // It will not open, and `tctl log rekey` names it; others may.
      if (!isCoded(e, 'damaged')) throw e;
    }
  }
  return [...names];
}

/**
 * Refuses when nothing could be opened. Whether the keys of the authorities can be is checked by auth before
 * it serves.
 */
async function refuseStrangeSecrets(
  keyring: Keyring,
  vault: BlobStore,
  sealing: SealingKeys,
  sink: LogSink,
): Promise<void> {
  const names = await keyNamesIn(vault);
  const missing: string[] = [];
  for (const name of names) if (!(await keyring.holds(name))) missing.push(name);
  if (missing.length === 0) return;
  const where = placeOfKeys(sealing);
  if (missing.length === names.length)
    throw new CodedError(
      'misconfigured',
      `the secrets in the store are sealed under the key ${missing.join(', ')}, which ${where} does not hold: ` +
        'all auth servers of a cluster need the same keys (storage.key_file or storage.kms_key_id); ' +
        'after a change of keys name the former ones by storage.previous_key_file or storage.previous_kms_key_id',
    );
  sink.warn('some secrets in the store cannot be opened: their keys are not here', { missing, where });
}

export function placeOfKeys(sealing: SealingKeys): string {
  switch (sealing.status) {
    case 'file':
      return sealing.path;
    case 'kms':
      return `AWS KMS ${sealing.keyId}`;
    case 'store':
      return 'the store';
  }
}
