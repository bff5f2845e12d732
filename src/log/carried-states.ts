import type { ViewState } from './event-log.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/**
 * So many snapshots of others have a state in them that nobody takes again: an hour of `presence`. Until then
 * its release may come back and go on from it, which holds back what is trimmed; for ever would mean that
 * nothing is.
 */
export const longestCarried = 12;

/** The states in the newest snapshot that are none of these views: of an older release, or of a newer one. */
export async function carriedStates(
  snapshots: SnapshotStore,
  views: readonly ViewState[],
): Promise<readonly ViewState[]> {
  const own = new Set(views.map(({ name }) => name));
  for await (const manifest of snapshots.newestFirst()) {
    const carried: ViewState[] = [];
    for (const name of Object.keys(manifest.views)) {
      if (own.has(name)) continue;
      const stored = await snapshots.view(name);
      const times = (stored?.carried ?? 0) + 1;
      if (stored && times <= longestCarried) carried.push({ ...stored, name, carried: times });
    }
    return carried;
  }
  return [];
}
