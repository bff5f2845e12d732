import type { Observable } from 'rxjs';
import { noDeadline } from '../base/deadline.ts';
import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { Appender } from './appender.ts';
import { archiveOf, archivingOf } from './segment-report.ts';
import type { Archiving } from './archiving.ts';
import { DiscardedKeys } from './discarded-keys.ts';
import type {
  AppendOptions,
  Compacted,
  EventLog,
  LogArchive,
  MilestoneStates,
  PartitionContents,
  PartitionStats,
  Sealed,
  ViewSnapshot,
  ViewState,
  Write,
} from './event-log.ts';
import type { Cause, Followed, Partition, Position, Recorded, Revision, StreamName } from './event.ts';
import { fenceError } from './fence.ts';
import { follow, holdsEvent } from './follow.ts';
import { type Growth, growthOf } from './growth.ts';
import { IndexUpkeep } from './index-upkeep.ts';
import type { PartitionLogOptions } from './partition-options.ts';
import { PartitionReader } from './partition-reader.ts';
import { contentsOf, statsOf } from './partition-stats.ts';
import { conditionError, conditionText } from './reader-condition.ts';
import type { Recovered, RecoveryReport, RecoveryStep } from './recovery-report.ts';
import { recover, type RecoveryParts, reportRecovery, type StoreBranch } from './recovery.ts';
import { Milestones } from './milestones.ts';
import { newestHasMac, sealPartition } from './seal-old-log.ts';
import type { Place, SlotDriver } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { refuseEarly } from './refuse-early.ts';
import { restoreFold, type SnapshotOptions, takeSnapshot } from './snapshots.ts';
import { draftWrites, newIds } from './drafts.ts';
import { draftEvent } from './stored-event.ts';
import { appendSealed, type SealedAppend } from './sealed-append.ts';
import { positionBefore, readHistory, readStream } from './stream-reader.ts';
import { streamsNamed } from './stream-names.ts';
import { TermChapters } from './term-chapters.ts';
import { TermIndex } from './term-index.ts';
import type { Indexed, Part, Terms, WantedTerms } from './terms.ts';
import { isUuidV7 } from './uuid-v7.ts';
import { Watch } from './watch.ts';

/** One partition of the log above a slot driver. */
export class PartitionLog implements EventLog {
  readonly #partition: Partition;
  readonly #options: PartitionLogOptions;
  readonly #snapshots: SnapshotStore;
  readonly #milestones: Milestones;
  readonly #terms: TermIndex;
  readonly #upkeep: IndexUpkeep;
  readonly #reader: PartitionReader;
  readonly #appender: Appender;
  readonly #watch: Watch;
  readonly #discarded: DiscardedKeys;
  readonly #closed = new AbortController();
  readonly #archiving: Archiving | undefined;
  #lastSnapshotAt: Instant | undefined;

  constructor(partition: Partition, options: PartitionLogOptions) {
    const { driver, sink, authenticity } = options;
    this.#partition = partition;
    this.#options = options;
    // Before the log is folded its newest batch shows this: no batch without a MAC comes after one that has
    // it.
    const isAuthentic = async () => this.#reader.isAuthentic || newestHasMac(driver, partition);
    const trust = authenticity && { authenticity, isAuthentic };
    this.#snapshots = new SnapshotStore(driver.snapshots, partition, sink, trust);
    this.#milestones = new Milestones(driver, partition, sink, trust);
    this.#upkeep = new IndexUpkeep({
      driver,
      snapshots: this.#snapshots,
      sink,
      decode: (stored) => this.#reader.decode(stored),
    });
    this.#reader = new PartitionReader({
      ...options,
      partition,
      restore: () => restoreFold(driver, this.#snapshots, sink),
      begun: (fold) => {
        this.#upkeep.attach(fold);
      },
    });
    this.#terms = new TermIndex(this.#reader, new TermChapters(driver, this.#reader, sink, trust));
    this.#reader.listen((news) => {
      if (news === 'went back') this.#terms.forget();
      this.#upkeep.look(this.#reader.fold);
    });
    this.#archiving = archivingOf(partition, options, (stored) => this.#reader.decode(stored));
    this.#discarded = new DiscardedKeys({ reader: this.#reader, sealing: options.sealing, sink });
    this.#appender = new Appender({ ...options, reader: this.#reader });
    this.#watch = new Watch({ ...options, reader: this.#reader, partition });
  }

  /** @throws CodedError `misconfigured` for a log that a newer version wrote. */
  async open(): Promise<void> {
    await this.#reader.open();
    const { condition } = this.#reader;
    if (condition?.status === 'newer') throw new CodedError('misconfigured', conditionText(condition));
  }

  async append(
    writes: readonly Write[],
    cause: Cause,
    { id, deadline = noDeadline, head }: AppendOptions = {},
  ): Promise<Position> {
    const facts = writes.flatMap(({ facts }) => facts);
    if (facts.length === 0) throw new CodedError('bad_request', 'an append holds at least one fact');
    if (id !== undefined && !isUuidV7(id))
      throw new CodedError('bad_request', 'the id of an append is a UUID of version 7');
    const ids = newIds(this.#options.world, facts.length, id);
    if (facts.some((fact) => fact.secrets)) return this.#appendSealed(writes, { cause, ids, deadline, head });
    const drafts = draftWrites(writes, cause, ids);
    deadline.begin();
    return this.#appender.append(drafts, cause.at, { deadline, head });
  }

  async appended(id: string, after: Position): Promise<Position | undefined> {
    await this.#reader.catchUp();
    for await (const event of this.#reader.events(after, this.#reader.fold.position))
      if (event.id === id) return event.position;
    return undefined;
  }

  async *read(stream: StreamName, after: Revision = 0, asOf?: Position): AsyncGenerator<Recorded> {
    await this.#look(asOf);
    yield* readStream(this.#reader, stream, after);
  }

  async revision(stream: StreamName, asOf?: Position): Promise<Revision> {
    await this.#look(asOf);
    await this.#reader.fold.recall([stream]);
    return this.#reader.fold.revision(stream);
  }

  history(after: Position, upTo?: Position): AsyncGenerator<Recorded> {
    return readHistory(this.#reader, after, upTo);
  }

  follow(after: Position, id?: string): Observable<Followed> {
    return follow(
      {
        reader: this.#reader,
        watch: this.#watch,
        sink: this.#options.sink,
        partition: this.#partition,
        closed: this.#closed.signal,
      },
      after,
      id,
    );
  }

  holds(position: Position, id: string): Promise<boolean> {
    return holdsEvent(this.#reader, position, id);
  }

  async positionBefore(at: Instant): Promise<Position> {
    await this.#reader.catchUp();
    return positionBefore(this.#reader, at);
  }

  async head(): Promise<Position> {
    await this.#reader.catchUp();
    return this.#reader.fold.position;
  }

  async snapshot(name: string): Promise<ViewSnapshot | undefined> {
    const { condition } = this.#reader;
    // A reader that began from it would forget things that this process knows to have happened since.
    if (condition?.status === 'went back') throw conditionError(condition);
    return this.#snapshots.view(name);
  }

  async streamsNamed(prefix: string): Promise<readonly StreamName[]> {
    await this.#reader.catchUp();
    return streamsNamed(this.#reader.fold.streams, prefix);
  }

  async milestone(position: Position): Promise<MilestoneStates | undefined> {
    const { condition } = this.#reader;
    if (condition?.status === 'went back') throw conditionError(condition);
    return this.#milestones.before(position);
  }

  partsWith(terms: Terms, wanted: WantedTerms, after: Position): Promise<readonly Part[]> {
    return this.#terms.partsWith(terms, wanted, after);
  }

  indexTerms(terms: Terms): Promise<Indexed> {
    return this.#terms.extend(terms);
  }

  unseal(event: Recorded, name: string): Promise<Uint8Array> {
    return this.#options.sealing.unseal(event, name);
  }

  destroySecrets(event: Recorded): Promise<void> {
    return this.destroyKeys(Object.values(event.sealed ?? {}).map((one) => one.keyId));
  }

  async destroyKeys(keyIds: readonly string[]): Promise<void> {
    await this.#options.sealing.destroy(keyIds);
    // Destroyed here; but the vault may have been copied before.
    await this.#reader.catchUp();
    if (this.#reader.fold.fence) throw fenceError(this.#reader.fold.fence);
  }

  /** See `ClusterLog.seal`. */
  async seal(
    views: readonly ViewState[],
    options: { readonly trim: boolean },
    cause: Cause,
  ): Promise<Sealed> {
    const { authenticity } = this.#options;
    if (authenticity === undefined) return 'cannot be sealed';
    return sealPartition({
      reader: this.#reader,
      authenticity,
      takeSnapshot: () => this.takeSnapshot(views, { ...options, seals: true }, cause),
      append: (writes) => this.append(writes, cause),
    });
  }

  /** See `ClusterLog.takeSnapshot`. */
  async takeSnapshot(
    views: readonly ViewState[],
    options: SnapshotOptions,
    cause: Cause,
  ): Promise<Compacted> {
    const { driver, world, writer } = this.#options;
    const taken = await takeSnapshot(
      {
        driver,
        reader: this.#reader,
        snapshots: this.#snapshots,
        milestones: this.#milestones,
        upkeep: this.#upkeep,
        terms: this.#terms,
        world,
        writer,
        archiving: this.#archiving,
        append: (stream, expected, fact, by) => this.append([{ stream, expected, facts: [fact] }], by),
      },
      views,
      options,
      cause,
    );
    if (taken.status === 'taken') this.#lastSnapshotAt = world.now();
    return taken;
  }

  /** See `ClusterLog.growth`. */
  growth(): Promise<Growth | undefined> {
    const { world, archive } = this.#options;
    return growthOf(this.#store, this.#partition, { now: world.now(), archive });
  }

  /** See `ClusterLog.archive`. */
  archive(): LogArchive | undefined {
    return archiveOf(this.#options.archive, this.#archiving);
  }

  /** See `ClusterLog.inspect`. */
  inspect(): Promise<PartitionContents> {
    const { world, archive } = this.#options;
    return contentsOf({ driver: this.#store, world, archive }, this.#partition, this.#snapshots);
  }

  /** See `ClusterLog.lookFor`. */
  lookFor(place: Place): Promise<void> {
    return this.#reader.lookFor(place);
  }

  /** See `ClusterLog.recovery`. */
  recovery(): Promise<RecoveryReport> {
    return reportRecovery(this.#recoveryParts());
  }

  /** See `ClusterLog.recover`. */
  recover(step: RecoveryStep, cause: Cause): Promise<Recovered> {
    return recover(this.#recoveryParts(), step, cause);
  }

  stats(): PartitionStats {
    return statsOf({
      reader: this.#reader,
      appender: this.#appender,
      followers: [...this.#watch.watchers].map((one) => one.position),
      lastSnapshotAt: this.#lastSnapshotAt,
      authenticity: this.#options.authenticity,
    });
  }

  async close(): Promise<void> {
    await this.#appender.close();
    await this.#upkeep.close();
    this.#closed.abort();
    await this.#discarded.close();
  }

  /** Without the archive. */
  get #store(): SlotDriver {
    return this.#options.archive?.driver ?? this.#options.driver;
  }

  /** Reads new slots from the store, unless the known ones are enough. */
  async #look(asOf: Position | undefined): Promise<void> {
    if (asOf === undefined || this.#reader.fold.position < asOf) await this.#reader.catchUp();
  }

  #recoveryParts(): RecoveryParts {
    const { driver, authenticity } = this.#options;
    const keepKey = async () => authenticity?.keep();
    return { driver, reader: this.#reader, openBranch: () => this.#openBranch(), keepKey };
  }

  /** The log in the state of the store, on the same handle. */
  async #openBranch(): Promise<StoreBranch> {
    const branch = new PartitionLog(this.#partition, { ...this.#options, known: undefined });
    await branch.open();
    return {
      log: branch,
      appendAgain: ({ id, stream, revision, fact, cause, sealed }) => {
        const events = [draftEvent(id, stream, fact, cause, sealed)];
        return branch.#appender.append([{ stream, expected: revision - 1, events }], cause.at);
      },
      close: () => branch.close(),
    };
  }

  async #appendSealed(writes: readonly Write[], terms: SealedAppend): Promise<Position> {
    const { world } = this.#options;
    await refuseEarly({ reader: this.#reader, appender: this.#appender, world }, writes, terms.cause);
    const parts = { sealing: this.#options.sealing, discarded: this.#discarded, appender: this.#appender };
    return appendSealed(parts, writes, terms);
  }
}
