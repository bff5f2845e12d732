import { existsSync, renameSync } from 'node:fs';
import { z } from 'zod';
import type { Instant } from '../../base/time.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { readOptional } from './host-uuid.ts';
import { identityPath, serverIdentityPath } from './identity-store.ts';
import { knownPlacesPath } from '../store/known-places.ts';

/** A cluster as recorded in the identity of a machine. */
export interface KnownCluster {
  readonly clusterName: string;
  readonly hostId: string;
  /** Of its host authorities; an authority that matches one of them is this cluster's. */
  readonly caPins: readonly string[];
  /** The file of the identity. */
  readonly file: string;
}

/** To which cluster a data directory belongs, judged by its files. */
export type ClusterOfDataDir =
  /** It never served, or its record is lost: any cluster is possible. */
  | { readonly status: 'none' }
  | { readonly status: 'known'; readonly clusters: readonly KnownCluster[] }
  /** It has served a cluster, but these files do not show which. */
  | { readonly status: 'not told'; readonly files: readonly string[] };

const roles = ['Admin', 'Proxy', 'Node'] as const;

/** Only what is needed here: whoever uses an identity checks all of it. */
const shape = z.object({
  hostId: z.string(),
  clusterName: z.string(),
  tlsCasPem: z.array(z.string()).min(1),
});

/**
 * Reads to which cluster a data directory belongs; changes nothing. Only the auth role's own identity counts:
 * it is renewed at each start, and those of other roles may be left over from before.
 */
export function clusterOfDataDir(dataDir: string): ClusterOfDataDir {
  const files = roles.map((role) => identityPath(dataDir, role)).filter((path) => existsSync(path));
  const known = files.flatMap((file) => knownCluster(file) ?? []);
  const [admin] = known.filter(({ file }) => file === identityPath(dataDir, 'Admin'));
  if (admin !== undefined) return { status: 'known', clusters: [admin] };
  if (known.length > 0) return { status: 'known', clusters: known };
  const places = knownPlacesPath(dataDir);
  const silent = [...files, ...(existsSync(places) ? [places] : [])];
  return silent.length === 0 ? { status: 'none' } : { status: 'not told', files: silent };
}

/** Whether an auth server has served from this data directory. */
export const hasServedAuth = (dataDir: string): boolean =>
  existsSync(identityPath(dataDir, 'Admin')) || existsSync(knownPlacesPath(dataDir));

function knownCluster(file: string): KnownCluster | undefined {
  try {
    const { tlsCasPem, hostId, clusterName } = shape.parse(JSON.parse(readOptional(file) ?? ''));
    return { hostId, clusterName, caPins: tlsCasPem.map(caPinOf), file };
  } catch {
    return undefined; // damaged: it does not show which
  }
}

/**
 * Moves a data directory's record of its cluster out of the way: nothing is deleted.
 * @returns where it is kept.
 */
export function setClusterAside(dataDir: string, now: Instant): string[] {
  const identities = roles.flatMap((role) => [
    identityPath(dataDir, role),
    serverIdentityPath(dataDir, role),
  ]);
  const paths = [...identities, knownPlacesPath(dataDir)];
  return paths
    .filter((path) => existsSync(path))
    .map((path) => {
      const aside = `${path}.left-${now.replaceAll(':', '-')}`;
      renameSync(path, aside);
      return aside;
    });
}
