import { silentLog } from '../base/log-sink.ts';
import { memoryObjects } from '../base/memory-objects.ts';
import type { ObjectStore } from '../base/object-store.ts';
import { hour, minute } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { ClusterLog } from './event-log.ts';
import type { Cause, StreamName } from './event.ts';
import { type Keyring, memoryKeyring } from './keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { type LogOptions, openLog } from './open-log.ts';
import { collect } from './testing.ts';

/** Whose clock tests move. */
type MovedWorld = World & { advance(ms: number): void };

/** A log with an archive, both in memory, and a clock that tests move. */
export class ArchiveBench {
  readonly world: MovedWorld;
  readonly keyring: Keyring;
  readonly store: MemoryStore = memoryStore();
  /** The objects of the archive. */
  readonly values = new Map<string, Uint8Array>();
  readonly times = { keptMs: 24 * hour, retentionMs: undefined };

  constructor(world: MovedWorld) {
    this.world = world;
    this.keyring = memoryKeyring(world);
  }

  /** One more process. */
  open(
    more: Partial<LogOptions> = {},
    objects: ObjectStore = memoryObjects(this.values),
    times: { readonly keptMs: number; readonly retentionMs: number | undefined } = this.times,
  ): Promise<ClusterLog> {
    return openLog({
      driver: memoryDriver(this.store),
      keyring: this.keyring,
      world: this.world,
      writer: 'w',
      sink: silentLog,
      archive: { objects, ...times, segmentBytes: 8_000 },
      ...more,
    });
  }

  cause(): Cause {
    return { at: this.world.now(), actor: 'user:test', requestId: 'r' };
  }

  /** So many events of a stream, each in a slot of its own, ten minutes apart. */
  async write({ audit }: ClusterLog, stream: StreamName, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.world.advance(10 * minute);
      const facts = [{ type: 'test.happened', data: { stream, i, text: 'x'.repeat(100) } }];
      await audit.append([{ stream, expected: await audit.revision(stream), facts }], this.cause());
    }
  }

  async compact(log: ClusterLog): Promise<void> {
    await log.takeSnapshot('audit', [], { trim: true }, this.cause());
  }

  /** So that the older of two snapshots is behind everything. */
  async compactTwice(log: ClusterLog): Promise<void> {
    await this.compact(log);
    this.world.advance(minute);
    await this.compact(log);
  }

  async floor(): Promise<number> {
    return (await memoryDriver(this.store).bounds('audit')).floor;
  }

  /** Of the segments. */
  get names(): string[] {
    return [...this.values.keys()].sort();
  }

  get bytesInStore(): number {
    return [...(this.store.slots.get('audit')?.values() ?? [])].reduce((sum, { length }) => sum + length, 0);
  }

  async ids({ audit }: ClusterLog, after = 0): Promise<string[]> {
    return (await collect(audit.history(after))).map(({ id }) => id);
  }
}
