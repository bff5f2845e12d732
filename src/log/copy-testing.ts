import { expect } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { type Moved, moveLog, type MoveOptions } from './move.ts';
import type { ClusterLog } from './event-log.ts';
import { type Cause, type Fact, type Partition, partitions, type StreamName } from './event.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver, memoryStore, type MemoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';
import { verifyLog } from './verify.ts';

export const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r1' };
export const keyring = memoryKeyring();

/** The log of a daemon on a store. */
export const open = (store: MemoryStore): Promise<ClusterLog> =>
  openLog({ driver: memoryDriver(store), keyring, world: realWorld, writer: 'w', sink: silentLog });

export const fact = (n: number): Fact => ({ type: 'test.happened', data: { n } });

export async function add(
  log: ClusterLog,
  partition: Partition,
  stream: StreamName,
  one: Fact,
): Promise<void> {
  const expected = await log[partition].revision(stream);
  await log[partition].append([{ stream, expected, facts: [one] }], cause);
}

/**
 * A log as a cluster leaves it: three partitions, secrets, snapshots, and a presence whose beginning was
 * trimmed.
 */
export async function fill(store: MemoryStore, events = 20): Promise<void> {
  const log = await open(store);
  for (let n = 0; n < events; n++)
    for (const partition of partitions) await add(log, partition, `a-${n % 3}`, fact(n));
  await add(log, 'state', 'secret-1', { ...fact(1), secrets: { key: Buffer.from('the key') } });
  for (let n = 0; n < 3; n++) {
    const views = [{ name: 'seen', position: (await log.presence.head()) + 1, state: { n } }];
    await log.takeSnapshot('presence', views, { trim: true }, cause);
    await log.takeSnapshot('state', [], { trim: false }, cause);
    await add(log, 'presence', 'a-1', fact(n));
  }
  await log.close();
}

/** Where the remaining slots begin. */
const floorsOf = ({ slots, floors }: MemoryStore): Map<Partition, number> =>
  new Map(
    [...floors.keys()].map((partition) => [partition, Math.min(...(slots.get(partition)?.keys() ?? []))]),
  );

/** A log that moves from one store in memory to another. */
export class Move {
  source = memoryStore();
  target = memoryStore();

  options(
    from: SlotDriver = memoryDriver(this.source),
    to: SlotDriver = memoryDriver(this.target),
  ): MoveOptions {
    return {
      source: from,
      target: to,
      from: 'the old place',
      to: 'the new place',
      world: realWorld,
      keyring,
      storeKeys: false,
      cause,
      progress: () => undefined,
      patienceMs: 0,
    };
  }

  copy(): Promise<Moved> {
    return moveLog(this.options());
  }

  /**
   * The slots of the source are those of the target, which then opens and is sound; so are vaults and
   * snapshots.
   */
  async expectMoved(): Promise<void> {
    const { source, target } = this;
    for (const partition of partitions) {
      const kept = [...(target.slots.get(partition) ?? [])].sort(([a], [b]) => a - b);
      const given = [...(source.slots.get(partition) ?? [])];
      expect(kept.slice(0, -1)).toEqual(given);
    }
    expect(target.vault).toEqual(source.vault);
    expect(target.snapshots).toEqual(source.snapshots);
    expect(target.meta).toEqual(source.meta);
    expect(target.floors).toEqual(floorsOf(source));
    expect((await verifyLog(memoryDriver(target))).bad).toBeUndefined();
    const [old, log] = [await open(source), await open(target)];
    for (const partition of partitions) {
      await add(log, partition, 'after-1', fact(1));
      await expect(add(old, partition, 'after-1', fact(1))).rejects.toMatchObject({
        code: 'unavailable',
        message: 'the log has moved to the new place: point storage at it and reload',
      });
    }
  }
}
