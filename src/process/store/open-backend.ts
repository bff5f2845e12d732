import type { LogSink } from '../../base/log-sink.ts';
import type { ObjectStore } from '../../base/object-store.ts';
import type { World } from '../../base/world.ts';
import type { Keyring } from '../../log/keyring.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import type { ObjectLocation } from '../configuration/object-location.ts';
import type { KeySource, StorageLocation } from '../configuration/storage-schema.ts';

/** What a store needs from its environment. */
export interface BackendEnvironment {
  readonly sink: LogSink;
  readonly world: World;
  /** Called with what a slow opening waits for. */
  readonly waitsFor?: (text: string) => void;
  /** Nothing is created: no table, no mark. */
  readonly reading?: boolean;
}

/** How long opening waits for a store that is away. */
export function openingMs(location: StorageLocation): number {
  switch (location.type) {
    case 'dir':
      return 10_000;
    case 'etcd':
      return location.dialTimeoutMs;
    case 'dynamodb':
      return location.retryPeriodMs;
  }
}

/** The same place, with at most `leftMs` to wait for it. */
export function openedWithin(location: StorageLocation, leftMs: number): StorageLocation {
  switch (location.type) {
    case 'dir':
      return location;
    case 'etcd':
      return { ...location, dialTimeoutMs: Math.min(location.dialTimeoutMs, leftMs) };
    case 'dynamodb':
      return { ...location, retryPeriodMs: Math.min(location.retryPeriodMs, leftMs) };
  }
}

/** The only entry to /backends. Each is loaded only when it is needed. */
export async function openBackend(location: StorageLocation, env: BackendEnvironment): Promise<SlotDriver> {
  switch (location.type) {
    case 'dir': {
      const { openDirectoryDriver } = await import('../../../backends/dir/open.ts');
      return openDirectoryDriver({ path: location.path });
    }
    case 'etcd': {
      const { openEtcdDriver } = await import('../../../backends/etcd/open.ts');
      return openEtcdDriver(location, env);
    }
    case 'dynamodb': {
      const { openDynamodbDriver } = await import('../../../backends/dynamodb/open.ts');
      return openDynamodbDriver(location, env);
    }
  }
}

/**
 * Read only: creates and changes nothing, works beside a running daemon and, for a directory, on a copy.
 * @throws CodedError `not_found` when there is no log.
 */
export async function openBackendForReading(
  location: StorageLocation,
  env: BackendEnvironment,
): Promise<SlotDriver> {
  if (location.type !== 'dir') return openBackend(location, { ...env, reading: true });
  const { openDirectoryReader } = await import('../../../backends/dir/open.ts');
  return openDirectoryReader({ path: location.path });
}

/** Objects outside the store. `reading`: nothing is made. @throws CodedError `misconfigured` */
export async function openObjects(
  location: ObjectLocation,
  { reading = false }: Pick<BackendEnvironment, 'reading'> = {},
): Promise<ObjectStore> {
  if (location.type === 'dir') {
    const { openDirectoryObjects } = await import('../../../backends/objects/dir.ts');
    return openDirectoryObjects(location.path, { reading });
  }
  const { openS3Objects } = await import('../../../backends/objects/s3.ts');
  return openS3Objects(location);
}

/**
 * Keys of a key service. @throws CodedError `misconfigured` when it refuses, `unavailable` when it does not
 * reply.
 */
export async function openKeyService(
  { keyId, region, endpoint }: Extract<KeySource, { status: 'kms' }>,
  env: BackendEnvironment,
): Promise<Keyring> {
  const { openKmsKeyring } = await import('../../../backends/kms/open.ts');
  return openKmsKeyring({ keyId, region, endpoint }, env);
}
