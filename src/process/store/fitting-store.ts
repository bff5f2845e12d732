import { CodedError, isCoded } from '../../base/errors.ts';
import { type LogSink, silentLog } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { clusterInStore, type ClusterInStore } from './cluster-in-store.ts';
import {
  type ClusterOfDataDir,
  clusterOfDataDir,
  type KnownCluster,
  setClusterAside,
} from '../identity/cluster-of-data-dir.ts';
import { openBackendForReading } from './open-backend.ts';
import { placeOf, type StorageLocation } from '../configuration/storage-schema.ts';

/*
 * A data directory that belongs to a cluster, and a store with no log or with that of another cluster, do not
 * fit: one misspelt path would replace a running cluster by a new, empty one. `--leave-cluster` names the
 * cluster to leave by its CA pin. So it works once: when the machine belongs to another cluster, the flag
 * does not match any more.
 */

export interface Fit {
  readonly dataDir: string;
  readonly storage: StorageLocation;
  /** The file that names the store, for messages. */
  readonly path: string | undefined;
  /** CA pins of `--leave-cluster`. */
  readonly leaveClusters: readonly string[];
}

export interface FitEnvironment {
  readonly world: World;
  readonly sink: LogSink;
  /** Called with what it waits for while the store does not reply. */
  readonly waitsFor: (text: string) => void;
}

type Finding =
  | { readonly status: 'fits' }
  | { readonly status: 'differs'; readonly left: readonly KnownCluster[]; readonly found: string }
  | { readonly status: 'may differ'; readonly files: readonly string[] };

/**
 * Checks the store before anything is created there or in the data directory.
 * @throws CodedError `misconfigured` when they do not fit, naming both, unless `leave` names the cluster to
 *   leave: then the data directory's record of it is moved aside. Also when `leave` names the cluster of
 *   both. `unavailable` when the store cannot be read.
 */
export async function requireFittingStore(fit: Fit, { sink, ...env }: FitEnvironment): Promise<void> {
  const { dataDir, leaveClusters: leave } = fit;
  const own = clusterOfDataDir(dataDir);
  if (own.status === 'none') {
    tellUnused(leave, sink);
    return;
  }
  const finding = compare(own, await look(fit, own, env));
  if (finding.status === 'fits') {
    refuseLeavingOwn(fit, own);
    tellUnused(leave, sink);
    return;
  }
  if (finding.status === 'may differ') throw mayDiffer(fit, finding.files);
  if (!isLeft(finding.left, leave)) throw differs(fit, finding.left, finding.found);
  const kept = setClusterAside(dataDir, env.world.now());
  for (const { clusterName, caPins } of finding.left)
    sink.warn('this machine leaves its cluster, as --leave-cluster demands; remove that flag now', {
      cluster: clusterName,
      caPin: caPins.join(','),
      kept,
    });
}

/**
 * For `tctl log import`: whether the log in an archive may be put where a data directory already belongs to a
 * cluster.
 * @param file what people call the archive.
 * @throws CodedError `misconfigured` as above; nothing is moved aside, which the next start does.
 */
export async function requireFittingArchive(
  { dataDir, leaveClusters: leave }: Pick<Fit, 'dataDir' | 'leaveClusters'>,
  archive: SlotDriver,
  file: string,
): Promise<void> {
  const own = clusterOfDataDir(dataDir);
  if (own.status !== 'known') return;
  const finding = compare(own, await clusterInStore(archive, pinsOf(own)));
  if (finding.status !== 'differs' || isLeft(finding.left, leave)) return;
  const { left, found } = finding;
  throw new CodedError(
    'misconfigured',
    `${file} holds ${found}, but ${belongs(dataDir, left)}. Import it on a machine of that cluster, or name another ` +
      `store with --to. To give up the cluster of this machine for it: ${leaveFlag(left)}, here and at the next start`,
  );
}

const pinsOf = (own: ClusterOfDataDir): string[] =>
  own.status === 'known' ? own.clusters.flatMap(({ caPins }) => caPins) : [];

const isLeft = (clusters: readonly KnownCluster[], leave: readonly string[]): boolean =>
  clusters.every(({ caPins }) => caPins.some((pin) => leave.includes(pin)));

async function look(
  { storage }: Fit,
  own: ClusterOfDataDir,
  env: Omit<FitEnvironment, 'sink'>,
): Promise<ClusterInStore> {
  try {
    const driver = await openBackendForReading(storage, { ...env, sink: silentLog });
    try {
      return await clusterInStore(driver, pinsOf(own));
    } finally {
      await driver.close();
    }
  } catch (e) {
    if (isCoded(e, 'not_found')) return { status: 'none' };
    throw e;
  }
}

function compare(own: Exclude<ClusterOfDataDir, { status: 'none' }>, stored: ClusterInStore): Finding {
  // Opening the log will report why it cannot be used.
  if (stored.status === 'unfinished') return { status: 'fits' };
  if (own.status === 'not told')
    return stored.status === 'holds' ? { status: 'fits' } : { status: 'may differ', files: own.files };
  const held: readonly string[] = stored.status === 'holds' ? stored.caPins : [];
  const left = own.clusters.filter(({ caPins }) => !caPins.some((pin) => held.includes(pin)));
  if (left.length === 0) return { status: 'fits' };
  const found =
    stored.status === 'holds'
      ? `another cluster, "${stored.clusterName}" (CA pin ${stored.caPins.join(', ')})`
      : 'no cluster';
  return { status: 'differs', left, found };
}

function differs(fit: Fit, left: readonly KnownCluster[], found: string): CodedError {
  const { storage, path, dataDir } = fit;
  const outcome =
    found === 'no cluster'
      ? 'A new cluster without users would take its place'
      : 'That one would take its place';
  return new CodedError(
    'misconfigured',
    `${belongs(dataDir, left)}, but the store holds ${found}: ${placeOf(storage)}. ${outcome}. Correct storage in ` +
      `${path ?? 'the configuration'}${mounted(storage)}, or put the log back from a backup. ` +
      `To give up the cluster of this machine: start it once with ${leaveFlag(left)}`,
  );
}

function mayDiffer({ storage, path, dataDir }: Fit, files: readonly string[]): CodedError {
  return new CodedError(
    'misconfigured',
    `${dataDir} has served a cluster (${files.join(', ')}), but the store holds no cluster: ${placeOf(storage)}. A new ` +
      `cluster without users would take its place. Correct storage in ${path ?? 'the configuration'}` +
      `${mounted(storage)}, or put the log back from a backup. To give up that cluster, move these files away`,
  );
}

function refuseLeavingOwn({ leaveClusters: leave, storage }: Fit, own: ClusterOfDataDir): void {
  if (own.status !== 'known') return;
  const named = own.clusters.find(({ caPins }) => caPins.some((pin) => leave.includes(pin)));
  if (named === undefined) return;
  throw new CodedError(
    'misconfigured',
    `--leave-cluster names the cluster "${named.clusterName}", which this machine belongs to and which the store holds ` +
      `(${placeOf(storage)}): remove the flag, or name the store for which the cluster is to be left`,
  );
}

function tellUnused(leave: readonly string[], sink: LogSink): void {
  if (leave.length > 0)
    sink.warn('--leave-cluster has no effect: this machine belongs to none of these clusters; remove it', {
      caPins: leave,
    });
}

const belongs = (dataDir: string, clusters: readonly KnownCluster[]): string =>
  `${dataDir} belongs to ${clusters
    .map(
      ({ clusterName, hostId, caPins, file }) =>
        `the cluster "${clusterName}" (CA pin ${caPins.join(', ')}, as host ${hostId}, ${file})`,
    )
    .join(' and ')}`;

const leaveFlag = (clusters: readonly KnownCluster[]): string =>
  clusters.map(({ caPins }) => `--leave-cluster=${caPins[0] ?? ''}`).join(' ');

const mounted = (storage: StorageLocation): string =>
  storage.type === 'dir' ? ' (is its disk mounted?)' : '';
