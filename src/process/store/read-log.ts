import { silentLog } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { noKeyring } from '../../log/keyring.ts';
import { openLog } from '../../log/open-log.ts';
import type { ConfigFile } from '../configuration/config-schema.ts';
import { openArchiveOf } from './open-archive.ts';
import { openBackendForReading } from './open-backend.ts';
import type { StorageLocation } from '../configuration/storage-schema.ts';

/**
 * The log of a store, read only: nothing is changed, no secret can be opened.
 * @param file where its archive is, if it has one.
 * @throws CodedError `not_found` when there is no log.
 */
export const openLogForReading = async (
  location: StorageLocation,
  world: World,
  file?: Pick<ConfigFile, 'auth_service'>,
): Promise<ClusterLog> =>
  openLog({
    driver: await openBackendForReading(location, { sink: silentLog, world }),
    archive: file && (await openArchiveOf(file.auth_service, { reading: true })),
    keyring: noKeyring,
    world,
    writer: 'reader',
    sink: silentLog,
    use: 'reading',
  });
