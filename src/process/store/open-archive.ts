import { join } from 'node:path';
import type { ObjectStore } from '../../base/object-store.ts';
import { CodedError } from '../../base/errors.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import type { ArchiveOptions } from '../../log/open-log.ts';
import { ArchiveRecords } from '../../log/segment-record.ts';
import type { Configuration } from '../configuration/configuration.ts';
import type { ObjectLocation } from '../configuration/object-location.ts';
import { type ConfigFile, usualKeptInStoreMs } from '../configuration/config-schema.ts';
import { openObjects } from './open-backend.ts';

type Section = Pick<ConfigFile['auth_service'], 'audit_archive' | 'audit_kept_in_store' | 'audit_retention'>;

/** The configured archive of the audit; undefined: it is kept in the store. The caller closes its objects. */
export async function openArchiveOf(
  { audit_archive: location, audit_kept_in_store: keptMs, audit_retention: retention }: Section,
  options: { readonly reading?: boolean } = {},
): Promise<ArchiveOptions | undefined> {
  if (location === undefined) return undefined;
  return {
    objects: await openObjects(location, options),
    keptMs: keptMs ?? usualKeptInStoreMs,
    retentionMs: retention === undefined || retention === 0 ? undefined : retention,
  };
}

/**
 * An auth server that does not know the archive would search half of the audit, and store again what a host
 * sends again.
 * @throws CodedError `misconfigured` when the log says that a part of it is in an archive, and none is
 *   configured.
 */
export async function requireArchive(log: Pick<ClusterLog, 'archive' | 'state'>): Promise<void> {
  if (log.archive !== undefined) return;
  const last = (await new ArchiveRecords(log.state, 'audit').read()).moved.at(-1);
  if (last === undefined) return;
  throw new CodedError(
    'misconfigured',
    `the audit up to ${last.until} is not in the store any more but in ${last.place}: set auth_service.audit_archive, on each auth server`,
  );
}

interface Recorded {
  readonly dataDir: string;
  readonly file: Pick<ConfigFile, 'auth_service'>;
}

/** Where recordings are kept. */
export const recordingsPlace = ({ dataDir, file }: Recorded): ObjectLocation =>
  file.auth_service.audit_sessions_uri ?? { type: 'dir', path: join(dataDir, 'log', 'records') };

/** The caller closes it. */
export const openRecordings = (configuration: Recorded): Promise<ObjectStore> =>
  openObjects(recordingsPlace(configuration));

/** Whether auth servers that share a store would each have recordings of their own. */
export const keepsRecordingsApart = ({
  file: { auth_service: section, teleport },
}: Pick<Configuration, 'file'>): boolean =>
  teleport.storage.type !== 'dir' &&
  section.session_recording !== 'off' &&
  section.audit_sessions_uri === undefined;
