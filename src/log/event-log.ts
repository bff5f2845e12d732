import type { ArchiveTimes } from './archive-times.ts';
import type { NamedKeys } from './named-keys.ts';
import type { Deadline } from '../base/deadline.ts';
import type { Observable } from 'rxjs';
import type { Instant } from '../base/time.ts';
import type { Place, StoreReport } from './slot-driver.ts';
import type { Fence } from './fence.ts';
import type { Growth } from './growth.ts';
import type { Recovered, RecoveryReport, RecoveryStep } from './recovery-report.ts';
import type { Indexed, Part, Terms, WantedTerms } from './terms.ts';
import type { Cause, Fact, Followed, Partition, Position, Recorded, Revision, StreamName } from './event.ts';

export interface Write {
  readonly stream: StreamName;
  /** The revision the stream must have now; 0 when it must not exist. */
  readonly expected: Revision;
  readonly facts: readonly Fact[];
}

export interface AppendOptions {
  /**
   * Made by the caller, a UUID of version 7, by which the append can be found again. It is the id of its last
   * event.
   */
  readonly id?: string | undefined;
  /**
   * Checked right before the append goes to the store; when it is over, the append is not tried in another
   * slot.
   */
  readonly deadline?: Deadline | undefined;
  /**
   * The head by which the caller decided something about many streams: the append is refused with `conflict`
   * when anything was appended to the partition since.
   */
  readonly head?: Position | undefined;
}

/**
 * `newest`: the reader would rather begin again from a snapshot than read very many events; it is told so by
 * the error `far_behind`. `all`: each event counts.
 */
export type Wanted = 'newest' | 'all';

/** What a view needs. Also implemented over the network, by `api/remote-log.ts`. */
export interface Followable {
  /**
   * Everything after `after`: first history, then live; in order, each event once.
   * Errors with CodedError `cursor_too_old` when events after `after` were trimmed: start from `snapshot`.
   * @param id of the event at `after`, where it is known: the same error when the log holds another one
   *   there, because its store went back and it has gone on from there.
   * @param wanted default: `all`. A log at hand, where reading is cheap, always gives all.
   */
  follow(after: Position, id?: string, wanted?: Wanted): Observable<Followed>;
  /**
   * Whether the event at a position is this one; also true when it was trimmed, so that it is not known any
   * more.
   */
  holds?(position: Position, id: string): Promise<boolean>;
  /** The newest snapshot of the projection `name`, if there is one. */
  snapshot(name: string): Promise<ViewSnapshot | undefined>;
  /** Position of the newest event; over the network, the one that a server sends next. */
  head?(): Promise<Position>;
  /** As `EventLog.positionBefore`; undefined when the other side is too old to know. */
  positionBefore?(at: Instant): Promise<Position | undefined>;
}

/** State of one projection after all events up to and including `position`. Plain JSON. */
export interface ViewSnapshot {
  readonly position: Position;
  readonly state: unknown;
  /** For how many snapshots it has been carried since its own release made one. */
  readonly carried?: number;
}

/** One partition of the append-only log. */
export interface EventLog extends Followable {
  holds(position: Position, id: string): Promise<boolean>;

  /**
   * Appends all the facts of all the writes, or none. Durable when it resolves. Returns the position of the
   * last one. A write without facts appends nothing and only guards its stream's revision.
   * @throws CodedError `conflict` if a stream is not at `expected`; `too_large` for a fact above 64 KB, more
   *   than 512 facts or more bytes than a batch takes; `limit_exceeded` when too many appends wait;
   *   `no_space`, `unavailable`, `damaged` when the store cannot store it, or the log has moved: then nothing
   *   was appended. The error of `deadline`, which is checked right before the store is called: then nothing
   *   was appended either. Only after `ambiguous` (the store was silent for longer than the log waits) it may
   *   have been appended, or may still be: call `appended`, then decide.
   */
  append(writes: readonly Write[], cause: Cause, options?: AppendOptions): Promise<Position>;

  /**
   * Where the append with this id is, on the log as of the newest commit, also when another process made it.
   * Searches the events after `after`, a position from before the append was tried. Undefined is final once
   * anything else was appended afterwards: until then a write whose reply was lost may still be carried out.
   */
  appended(id: string, after: Position): Promise<Position | undefined>;

  /**
   * One stream after revision `after` (default 0), oldest first, as of the newest commit. With `asOf` (an
   * earlier result of `head`): as of that position or a later one, without reading the store again.
   * @throws CodedError `cursor_too_old` when events after `after` were trimmed.
   */
  read(stream: StreamName, after?: Revision, asOf?: Position): AsyncIterable<Recorded>;

  /** Number of events ever appended to the stream, as of the newest commit or `asOf`; trimmed ones count. */
  revision(stream: StreamName, asOf?: Position): Promise<Revision>;

  /**
   * Events after `after`, oldest first, up to the newest commit; then ends. For a damaged log: the events
   * before the damage, and then throws.
   * @param upTo no event after this position; for one that was seen before, the store is not asked for newer
   *   ones.
   */
  history(after: Position, upTo?: Position): AsyncIterable<Recorded>;

  /**
   * Position of the last event before `at`: where to begin to read everything that happened since. Never
   * before a trimmed event, so that a very early `at` gives the beginning of what can be read.
   */
  positionBefore(at: Instant): Promise<Position>;

  /**
   * The streams of this partition whose names begin like this, in no order. Looks at the names of all: for a
   * partition that has no more streams than there are people and machines, not for `audit`.
   */
  streamsNamed(prefix: string): Promise<readonly StreamName[]>;

  /**
   * States of views as they were at or before a position, of the nearest milestone that `takeSnapshot` kept
   * before it; undefined where there is none. Each has its own position.
   */
  milestone(position: Position): Promise<MilestoneStates | undefined>;

  /**
   * The parts of the log after `after`, up to the newest commit, in which events with these terms may be; in
   * order, with gaps between them. For everything that the index of the terms does not know they may be
   * there. An index that was changed without the keyring is not used, in a log that has MACs.
   */
  partsWith(terms: Terms, wanted: WantedTerms, after: Position): Promise<readonly Part[]>;

  /**
   * Adds the oldest events to the index of these terms that it lacks: at most 65,536, and nothing while there
   * are fewer than 4,096 new ones. Any process may do so, and several at once: they write the same.
   */
  indexTerms(terms: Terms): Promise<Indexed>;

  /** Position of the newest commit in the store, also by other processes. */
  head(): Promise<Position>;

  /**
   * Opens one sealed secret.
   * @throws CodedError `not_found` when its data key was destroyed, `damaged` when it does not open.
   */
  unseal(event: Recorded, name: string): Promise<Uint8Array>;

  /**
   * Destroys the data keys of an event's secrets: nobody can open them again, in any copy of the log.
   * @throws CodedError `unavailable` when the log has moved: they are destroyed here, perhaps not in the new
   *   store.
   */
  destroySecrets(event: Recorded): Promise<void>;

  /** The same by the ids of data keys. */
  destroyKeys(keyIds: readonly string[]): Promise<void>;
}

/** By names of projections, at positions not far from each other. */
export type MilestoneStates = readonly Pick<ViewState, 'name' | 'position' | 'state'>[];

/** State of one view, as a snapshot keeps it. */
export interface ViewState {
  /** The projection's name, its version included. */
  readonly name: string;
  readonly position: Position;
  /** Plain JSON. */
  readonly state: unknown;
  /** As in `ViewSnapshot`; absent for one's own. */
  readonly carried?: number;
}

export type Compacted =
  | {
      readonly status: 'taken';
      readonly position: Position;
      /** Slots before this one were trimmed; undefined when none were. */
      readonly trimmedBefore: number | undefined;
    }
  /** Another process compacts this partition; it continues, and this one changed nothing that was kept. */
  | { readonly status: 'superseded' };

/**
 * `not now`: others were writing while it needed the log to stand still; `cannot be sealed`: there is no
 * keyring here.
 */
export type Sealed = 'sealed' | 'was sealed' | 'not now' | 'cannot be sealed';

export interface PartitionStats {
  readonly position: Position;
  readonly slot: number;
  /** Own hash of the batch in `slot`, in hexadecimal: the chain up to there. */
  readonly hash: string;
  readonly streams: number;
  /** The first slot that has a MAC; undefined while none has, in a log of an older release. */
  readonly authenticFrom: number | undefined;
  /** Of the key for its MACs, in hexadecimal; undefined where no batch has one, or none is checked. */
  readonly macKeyId: string | undefined;
  /**
   * For how long this process has seen no batch that an older release wrote, whose batches have no MAC.
   * Milliseconds.
   */
  readonly withoutOlderReleaseMs: number;
  /** Of this process, since it opened the log. */
  readonly appends: number;
  readonly events: number;
  readonly batches: number;
  readonly bytes: number;
  readonly conflicts: number;
  /** Commits whose reply was lost and that were settled by batch id. */
  readonly ambiguous: number;
  readonly commitMs: number;
  readonly slowestCommitMs: number;
  readonly waitingAppends: number;
  readonly waitingBytes: number;
  readonly followers: number;
  /** Events that the slowest follower of this process has not received yet. */
  readonly lag: number;
  /** Events since anybody compacted this partition. */
  readonly eventsSinceSnapshot: number;
  /** Last snapshot that this process took. */
  readonly lastSnapshotAt: Instant | undefined;
  /** Set when the log is damaged: it serves the events before the damage and accepts none. */
  readonly damage: string | undefined;
  /** Set while the store no longer has what was read from it: nothing is decided or written. */
  readonly wentBack: string | undefined;
  /**
   * Set when the log has moved to another store, or a newer version writes it: it is served as it was, and
   * accepts nothing.
   */
  readonly fence: Fence | undefined;
}

/** What a store contains of one partition. */
export interface PartitionContents {
  /** 1, unless the beginning was trimmed; 0 when the partition is empty. */
  readonly firstSlot: number;
  /** The oldest first. */
  readonly snapshots: readonly SnapshotContents[];
  /** Undefined when too little is known. */
  readonly growth: Growth | undefined;
}

export interface SnapshotContents {
  readonly slot: number;
  /** Its bytes, the views' states included, as far as they could be read. */
  readonly bytes: number;
  /** Undefined for one that is bad. */
  readonly position: Position | undefined;
  readonly takenAt: Instant | undefined;
  /** Why it is not used. */
  readonly fault: string | undefined;
}

/** Where a partition goes when the store need not hold it any more. */
export interface LogArchive extends ArchiveTimes {
  /** Whether so much is to be moved, or deleted, that it is worth a `takeSnapshot`. */
  isDue(): Promise<boolean>;
  /** Read at the call. */
  report(): Promise<ArchiveReport>;
}

/** What is in an archive. */
export interface ArchiveReport {
  /** What people call it. */
  readonly place: string;
  readonly segments: number;
  /** As they are stored there. */
  readonly bytes: number;
  /** 0 while it is empty. */
  readonly firstSlot: number;
  readonly lastSlot: number;
  /** Times of the first and last event in it. */
  readonly from: Instant | undefined;
  readonly until: Instant | undefined;
  /** When the last event happened that was deleted from it. */
  readonly deletedUntil: Instant | undefined;
  /** What should be in it and is not: the first. */
  readonly fault: string | undefined;
}

/** The whole log: one store, four partitions. */
export interface ClusterLog {
  /** That of `audit`; undefined where it is kept in the store. */
  readonly archive?: LogArchive | undefined;
  /** Secrets beside the log, in its vault. */
  readonly keys: NamedKeys;
  readonly state: EventLog;
  readonly attempts: EventLog;
  readonly presence: EventLog;
  readonly audit: EventLog;
  /**
   * Stores the views' states, so that opening reads only later events. Two snapshots are kept. States with
   * other names in the newest one, which belong to another release, are carried along for a while. With
   * `trim`, the slots that the older snapshot does not need are deleted; of a partition that has an archive
   * they are moved there first, as far as its times say. `cause` is that of the fact that
   * fences other compactors. The states of the views named in `milestones` are kept for good as well, each
   * time that enough events have passed.
   */
  takeSnapshot(
    partition: Partition,
    views: readonly ViewState[],
    options: { readonly trim: boolean; readonly milestones?: readonly string[] },
    cause: Cause,
  ): Promise<Compacted>;
  /**
   * From here on each batch of the partition has a MAC (RFD 0022), and earlier ones are accepted as they are
   * found. For a log that an older release began, once no such release writes any more: it does not
   * understand the new batches, and writes nothing after them. Also takes a snapshot, as `takeSnapshot`.
   */
  seal(
    partition: Partition,
    views: readonly ViewState[],
    options: { readonly trim: boolean },
    cause: Cause,
  ): Promise<Sealed>;
  /** How the partition grew in a day; undefined when too little is known. Reads some slots of the store. */
  growth(partition: Partition): Promise<Growth | undefined>;
  /** Details from the store, read at the call. */
  inspect(partition: Partition): Promise<PartitionContents>;
  /**
   * The store is known, from elsewhere, to have held this batch in this slot: checks whether it still does.
   * If not, it has gone back, which `stats` reports from then on.
   */
  lookFor(partition: Partition, place: Place): Promise<void>;
  /** After the store went back: what this process knows, and what the store contains. Changes nothing. */
  recovery(partition: Partition): Promise<RecoveryReport>;
  /**
   * Ends that state for one partition: writes back to the store what is still known here, or continues from
   * what it has. Appends a fact that records which, and what was lost. Followers of this process are told to
   * begin again.
   */
  recover(partition: Partition, step: RecoveryStep, cause: Cause): Promise<Recovered>;
  stats(): Readonly<Record<Partition, PartitionStats>>;
  /** What is known about the underlying store. */
  store(): StoreReport;
  /** Completes every follower, finishes the waiting appends, closes the store. */
  close(): Promise<void>;
}
