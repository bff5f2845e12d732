import type { ViewState } from './event-log.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/**
 * After this many snapshots a state that no release uses is dropped: an hour of `presence`. Until then its
 * release may come back and continue from it, which delays trimming; keeping it for ever would prevent
 * trimming.
 */
export const longestCarried = 12;

/**
 * The states in the newest snapshot that belong to none of these views: from an older release, or a newer
 * one.
 */
export async function carriedStates(
  snapshots: SnapshotStore,
  views: readonly ViewState[],
): Promise<readonly ViewState[]> {
  const own = new Set(views.map(({ name }) => name));
  for await (const manifest of snapshots.newestFirst()) {
    const others = Object.keys(manifest.views).filter((name) => !own.has(name));
    const stored = await Promise.all(others.map((name) => snapshots.view(name)));
    return stored.flatMap((one, at): ViewState[] => {
      const [name = '', times] = [others[at], (one?.carried ?? 0) + 1];
      return one !== undefined && times <= longestCarried ? [{ ...one, name, carried: times }] : [];
    });
  }
  return [];
}
