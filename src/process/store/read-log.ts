import { silentLog } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { noKeyring } from '../../log/keyring.ts';
import { openLog } from '../../log/open-log.ts';
import { openBackendForReading } from './open-backend.ts';
import type { StorageLocation } from '../configuration/storage-schema.ts';

/**
 * The log of a store, read only: nothing is changed, no secret can be opened.
 * @throws CodedError `not_found` when there is no log.
 */
export const openLogForReading = async (location: StorageLocation, world: World): Promise<ClusterLog> =>
  openLog({
    driver: await openBackendForReading(location, { sink: silentLog, world }),
    keyring: noKeyring,
    world,
    writer: 'reader',
    sink: silentLog,
    use: 'reading',
  });
