import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { openDirectoryObjects } from '../../backends/objects/dir.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import type { ArchiveTimes } from '../../src/log/archive-times.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { openKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

/** What a process must know to open the same log; plain JSON. */
export interface MonthPlace {
  readonly directory: string;
  /** Peers; undefined: the store is in the directory. */
  readonly etcd?: readonly string[] | undefined;
  readonly times: ArchiveTimes;
}

/**
 * etcd's history is compacted five minutes after something was deleted. The simulated time passes some
 * thirty times as fast as that of etcd, so that it is this.
 */
const upkeep = { everyMs: 1_000, historyKeptMs: 10_000 };

/** Where files are in memory, if the machine has that: for what counts bytes and not times. */
const inMemory = '/dev/shm';

export const newMonthDirectory = (kind: 'on disk' | 'in memory'): string =>
  mkdtempSync(join(kind === 'in memory' && existsSync(inMemory) ? inMemory : tmpdir(), 'month-'));
export const removeMonth = ({ directory }: MonthPlace): void => {
  rmSync(directory, { recursive: true, force: true });
};

export const archivePath = ({ directory }: MonthPlace): string => join(directory, 'archive');
const logPath = ({ directory }: MonthPlace): string => join(directory, 'log');

export async function monthDriver(place: MonthPlace): Promise<SlotDriver> {
  if (place.etcd === undefined) return openDirectoryDriver({ path: logPath(place) });
  const options = { peers: place.etcd, prefix: '/month', insecure: false, dialTimeoutMs: 10_000 };
  return openEtcdDriver(options, { sink: silentLog, world: realWorld, upkeep });
}

/** One auth server's handle. */
export async function monthLog(place: MonthPlace, world: World, writer: string): Promise<ClusterLog> {
  return openLog({
    driver: await monthDriver(place),
    keyring: await openKeyring(join(place.directory, 'keyring')),
    ...{ world, writer, sink: silentLog },
    archive: { objects: await openDirectoryObjects(archivePath(place)), ...place.times },
  });
}

/** What the store takes on its disk: etcd's `dbSize`, and how much of that is in use; a directory's files. */
export async function storeBytes(
  place: MonthPlace,
): Promise<{ readonly bytes: number; readonly used: number }> {
  if (place.etcd === undefined) {
    const bytes = filesBelow(logPath(place)).reduce((sum, one) => sum + one.bytes, 0);
    return { bytes, used: bytes };
  }
  const client = new Etcd3({ hosts: [...place.etcd] });
  try {
    const status = await client.maintenance.status();
    return { bytes: Number(status.dbSize), used: Number(status.dbSizeInUse) };
  } finally {
    client.close();
  }
}

/** The files of the archive. */
export const archiveFiles = (place: MonthPlace): readonly { readonly bytes: number }[] =>
  filesBelow(archivePath(place));

function filesBelow(path: string): { readonly bytes: number }[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((one) => one.isFile())
    .map((one) => ({ bytes: statSync(join(one.parentPath, one.name)).size }));
}
