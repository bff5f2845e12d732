/* What nodes with a label that changes each minute cost an auth server and its store, in simulated time. */
import { simulateHour } from '../simulator/simulated-hour.ts';
import { sharedStore, type Storage } from '../simulator/shared-store.ts';
import type { Figure } from './bars.ts';

const minutes = 12;

export async function measureHeartbeats(
  nodes: number,
  storage: Storage | undefined,
): Promise<readonly Figure[]> {
  const store = sharedStore(storage);
  try {
    const hour = await simulateHour({ store, nodes, minutes, auths: 1, measures: true });
    if (hour.alive[0] !== nodes) throw new Error(`of ${nodes} nodes ${hour.alive.join()} are alive`);
    const held = Math.max(...hour.sizes.map(({ slotBytes, snapshotBytes }) => slotBytes + snapshotBytes));
    const cpu = (hour.cpuSeconds / (minutes * 60)) * 100;
    return [
      { what: 'CPU of auth and of the store in its process', value: cpu, unit: '%', most: 20 },
      { what: 'appended to state', value: hour.stateBytes, unit: 'B', most: 0 },
      { what: 'appends to presence in a second', value: hour.appends / (minutes * 60), unit: '/s' },
      { what: 'bytes of a heartbeat', value: hour.bytes / hour.heartbeats, unit: 'B' },
      { what: 'presence in the store, at most', value: held / 1e6, unit: 'MB' },
    ];
  } finally {
    await store.close();
  }
}
