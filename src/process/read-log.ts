import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { ClusterLog } from '../log/event-log.ts';
import type { Keyring } from '../log/keyring.ts';
import { openLog } from '../log/open-log.ts';
import { openBackendForReading, type StorageLocation } from './open-backend.ts';

/** Opens nothing: a log that is only looked at has no need of its secrets. */
const noKeys: Keyring = {
  wrap: () => Promise.reject(new CodedError('unavailable', 'the log was opened for reading only')),
  unwrap: () => Promise.reject(new CodedError('unavailable', 'secrets are not opened here')),
};

/**
 * The log of a storage directory for looking only: nothing is changed, no secret can be opened.
 * @throws CodedError `not_found` when there is no log.
 */
export const openLogForReading = async (location: StorageLocation, world: World): Promise<ClusterLog> =>
  openLog({
    driver: await openBackendForReading(location),
    keyring: noKeys,
    world,
    writer: 'reader',
    sink: silentLog,
  });
