import { statfsSync } from 'node:fs';
import { CodedError, isCoded } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';

/**
 * Magic numbers of file systems whose other hosts do not see our locks and shared memory. FUSE is among them,
 * since it is not known what is behind it (sshfs, s3fs, a shared folder of a virtual machine). Source:
 * statfs(2), linux/magic.h.
 */
const remote: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB 2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x65735546, 'FUSE'],
  [0x01021997, '9P'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x47504653, 'GPFS'],
  [0x786f4256, 'VirtualBox shared folder'],
]);

/** @throws CodedError `misconfigured` when the directory is on a network file system. */
export function refuseNetworkFileSystem(path: string, type = statfsSync(path).type): void {
  const name = remote.get(type >>> 0);
  if (name !== undefined)
    throw new CodedError(
      'misconfigured',
      `${path} is on a ${name} file system, where locks between processes cannot be relied on: use a local disk, or a networked store`,
    );
}

/**
 * Share of the disk that must be free for an append. `state` and `attempts` may continue when the others are
 * refused: they contain the decisions with which people free a full disk (log in, lock, remove, compact).
 */
const mustBeFree: Readonly<Record<Partition | 'vault' | 'snapshots' | 'meta', number>> = {
  audit: 0.05,
  presence: 0.05,
  state: 0.02,
  attempts: 0.02,
  vault: 0.02,
  snapshots: 0.02,
  meta: 0.02,
};

/** What SQLite may write besides the value itself, for which there must be space as well. */
const marginBytes = 128 * 1024;

/**
 * Refuses before the database is touched: a write that finds the disk full half way leaves its write-ahead
 * file enlarged. Deleting and trimming are never refused.
 * @throws CodedError `no_space`: then nothing was written.
 */
export function refuseOnFullDisk(path: string, what: keyof typeof mustBeFree, bytes: number): void {
  const { bavail, blocks, bsize } = statfsSync(path);
  const share = mustBeFree[what];
  // The value goes to the write-ahead file first and to the database later.
  const needed = Math.max(blocks * bsize * share, 2 * bytes + marginBytes);
  if (bavail * bsize >= needed) return;
  const mib = (n: number): string => `${(n / 1024 / 1024).toFixed(1)} MiB`;
  throw new CodedError(
    'no_space',
    `the disk of ${path} is nearly full: ${mib(bavail * bsize)} are free, to append to ${what} there must be ${mib(needed)}`,
  );
}

/**
 * Why even a tiny append would be refused for lack of space; undefined when it would not, or the disk does
 * not report it.
 */
export function refusalOnFullDisk(path: string, what: Partition): string | undefined {
  try {
    refuseOnFullDisk(path, what, 0);
    return undefined;
  } catch (e) {
    return isCoded(e, 'no_space') ? e.message : undefined;
  }
}
