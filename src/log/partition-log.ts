import type { Observable } from 'rxjs';
import { type Deadline, noDeadline } from '../base/deadline.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import { allSettled } from '../base/settled.ts';
import type { World } from '../base/world.ts';
import { Appender, conflict, type DraftWrite } from './appender.ts';
import type {
  Compacted,
  EventLog,
  PartitionContents,
  PartitionStats,
  SnapshotContents,
  ViewSnapshot,
  ViewState,
  Write,
} from './event-log.ts';
import type { Cause, Fact, Followed, Partition, Position, Recorded, Revision, StreamName } from './event.ts';
import { fenceError } from './fence.ts';
import { follow } from './follow.ts';
import { newerText, PartitionReader } from './partition-reader.ts';
import type { Sealing } from './sealing.ts';
import type { SlotDriver } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { restoreFold, takeSnapshot } from './snapshots.ts';
import { draftEvent, type EventDraft } from './stored-event.ts';
import { readStream } from './stream-reader.ts';
import { uuidV7 } from './uuid-v7.ts';
import { Watch } from './watch.ts';

export interface PartitionLogOptions {
  readonly driver: SlotDriver;
  readonly sealing: Sealing;
  readonly world: World;
  readonly writer: string;
  readonly sink: LogSink;
  readonly pollMs: number;
  readonly settleMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly recentBytes: number;
}

/** One partition of the log above a slot driver. */
export class PartitionLog implements EventLog {
  readonly #partition: Partition;
  readonly #options: PartitionLogOptions;
  readonly #snapshots: SnapshotStore;
  readonly #reader: PartitionReader;
  readonly #appender: Appender;
  readonly #watch: Watch;
  readonly #closed = new AbortController();
  #lastSnapshotAt: Instant | undefined;

  constructor(partition: Partition, options: PartitionLogOptions) {
    const { driver, sink } = options;
    this.#partition = partition;
    this.#options = options;
    this.#snapshots = new SnapshotStore(driver.snapshots, partition, sink);
    const restore = (): ReturnType<typeof restoreFold> => restoreFold(driver, this.#snapshots, sink);
    this.#reader = new PartitionReader({ ...options, partition, restore });
    this.#appender = new Appender({ ...options, reader: this.#reader });
    this.#watch = new Watch({ ...options, reader: this.#reader, partition });
  }

  /** @throws CodedError `misconfigured` for a log that a newer version wrote. */
  async open(): Promise<void> {
    await this.#reader.open();
    const { damage } = this.#reader;
    if (damage?.newer) throw new CodedError('misconfigured', newerText(damage));
  }

  async append(writes: readonly Write[], cause: Cause, deadline: Deadline = noDeadline): Promise<Position> {
    const facts = writes.flatMap(({ facts }) => facts);
    if (facts.length === 0) throw new CodedError('bad_request', 'an append holds at least one fact');
    if (facts.some((fact) => fact.secrets)) return this.#appendSealed(writes, cause, deadline);
    const drafts = this.#draft(writes, cause);
    deadline.begin();
    return this.#appender.append(drafts, cause.at);
  }

  async *read(stream: StreamName, after: Revision = 0, asOf?: Position): AsyncGenerator<Recorded> {
    await this.#look(asOf);
    yield* readStream(this.#reader, stream, after);
  }

  async revision(stream: StreamName, asOf?: Position): Promise<Revision> {
    await this.#look(asOf);
    return this.#reader.fold.revision(stream);
  }

  async *history(after: Position): AsyncGenerator<Recorded> {
    await this.#reader.catchUp();
    yield* this.#reader.events(after, this.#reader.fold.position);
  }

  follow(after: Position): Observable<Followed> {
    return follow(
      {
        reader: this.#reader,
        watch: this.#watch,
        sink: this.#options.sink,
        partition: this.#partition,
        closed: this.#closed.signal,
      },
      after,
    );
  }

  async positionBefore(at: Instant): Promise<Position> {
    await this.#reader.catchUp();
    const { fold } = this.#reader;
    const signpost = fold.signpostBeforeMoment(at);
    let position: Position | undefined;
    for await (const batch of this.#reader.batches(signpost?.slot ?? 1)) {
      for (const event of batch.events) {
        if (event.cause.at >= at) return position ?? event.position - 1;
        position = event.position;
      }
    }
    return position ?? 0;
  }

  async head(): Promise<Position> {
    await this.#reader.catchUp();
    return this.#reader.fold.position;
  }

  snapshot(name: string): Promise<ViewSnapshot | undefined> {
    return this.#snapshots.view(name);
  }

  unseal(event: Recorded, name: string): Promise<Uint8Array> {
    return this.#options.sealing.unseal(event, name);
  }

  async destroySecrets(event: Recorded): Promise<void> {
    await this.#options.sealing.destroy(Object.values(event.sealed ?? {}).map((one) => one.keyId));
    // Destroyed here; but the vault may have been copied before.
    await this.#reader.catchUp();
    if (this.#reader.fold.fence) throw fenceError(this.#reader.fold.fence);
  }

  /** See `ClusterLog.takeSnapshot`. */
  async takeSnapshot(
    views: readonly ViewState[],
    options: { readonly trim: boolean },
    cause: Cause,
  ): Promise<Compacted> {
    const { driver, world, writer } = this.#options;
    const taken = await takeSnapshot(
      {
        driver,
        reader: this.#reader,
        snapshots: this.#snapshots,
        world,
        writer,
        append: (stream, expected, fact, by) => this.append([{ stream, expected, facts: [fact] }], by),
      },
      views,
      options,
      cause,
    );
    if (taken.status === 'taken') this.#lastSnapshotAt = world.now();
    return taken;
  }

  /** See `ClusterLog.inspect`. */
  async inspect(): Promise<PartitionContents> {
    const snapshots: SnapshotContents[] = [];
    for await (const { slot, bytes, found } of this.#snapshots.inspect()) {
      const good = typeof found === 'string' ? undefined : found;
      snapshots.push({
        slot,
        bytes,
        position: good?.position,
        takenAt: good?.takenAt,
        fault: typeof found === 'string' ? found : undefined,
      });
    }
    for await (const { slot } of this.#options.driver.read(this.#partition, 1))
      return { firstSlot: slot, snapshots };
    return { firstSlot: 0, snapshots };
  }

  stats(): PartitionStats {
    const { fold, damage } = this.#reader;
    const waiting = this.#appender.waiting;
    const positions = [...this.#watch.watchers].map((one) => one.position);
    return {
      position: fold.position,
      slot: fold.slot,
      hash: fold.hash.toString('hex'),
      streams: fold.streams.size,
      ...this.#appender.counters,
      waitingAppends: waiting.appends,
      waitingBytes: waiting.bytes,
      followers: positions.length,
      lag: Math.max(0, ...positions.map((one) => fold.position - one)),
      eventsSinceSnapshot: fold.position - fold.compactedAt,
      lastSnapshotAt: this.#lastSnapshotAt,
      damage: damage && !damage.newer ? `slot ${damage.slot}: ${damage.reason}` : undefined,
      fence: damage?.newer ? { status: 'unknown', copy: '', reason: newerText(damage) } : fold.fence,
    };
  }

  async close(): Promise<void> {
    await this.#appender.close();
    this.#closed.abort();
  }

  /** Reads what is new in the store, unless what is known here goes as far as is asked for. */
  async #look(asOf: Position | undefined): Promise<void> {
    if (asOf === undefined || this.#reader.fold.position < asOf) await this.#reader.catchUp();
  }

  #draft(writes: readonly Write[], cause: Cause): DraftWrite[] {
    return writes.map(({ stream, expected, facts }) => ({
      stream,
      expected,
      events: facts.map((fact) => draftEvent(uuidV7(this.#options.world), stream, fact, cause, undefined)),
    }));
  }

  /** The data keys are durable before the events; when the events are not stored, the keys are removed again. */
  async #appendSealed(writes: readonly Write[], cause: Cause, deadline: Deadline): Promise<Position> {
    await this.#refuseEarly(writes, cause);
    const { sealing, world } = this.#options;
    const made: string[] = [];
    const seal = async (stream: StreamName, fact: Fact): Promise<EventDraft> => {
      const id = uuidV7(world);
      const sealed =
        fact.secrets && (await sealing.seal({ stream, eventId: id, type: fact.type }, fact.secrets, made));
      return draftEvent(id, stream, fact, cause, sealed);
    };
    try {
      const drafts = await allSettled(
        writes.map(async ({ stream, expected, facts }): Promise<DraftWrite> => {
          const events = await allSettled(facts.map((fact) => seal(stream, fact)));
          return { stream, expected, events };
        }),
      );
      deadline.begin();
      return await this.#appender.append(drafts, cause.at);
    } catch (e) {
      if (isCoded(e) && e.code !== 'ambiguous') await this.#discard(made);
      throw e;
    }
  }

  async #discard(keyIds: readonly string[]): Promise<void> {
    try {
      await this.#options.sealing.destroy(keyIds);
    } catch (e) {
      // They open nothing that was stored. The reason why the append failed says more to the caller than this one.
      this.#options.sink.warn('data keys without an event stay in the vault', {
        keyIds,
        reason: messageOf(e),
      });
    }
  }

  /** What can be seen to fail is refused before anything is written to the vault. */
  async #refuseEarly(writes: readonly Write[], cause: Cause): Promise<void> {
    if (this.#reader.fold.fence) await this.#reader.catchUp();
    if (this.#reader.fold.fence) throw fenceError(this.#reader.fold.fence);
    const events = this.#draft(writes, cause).flatMap((one) => one.events);
    this.#appender.check(
      events.reduce((sum, one) => sum + one.bytes, 0),
      events.length,
    );
    for (const { stream, expected } of writes) {
      const known = this.#reader.fold.revision(stream);
      if (expected < known) throw conflict(stream, expected, known);
    }
  }
}
