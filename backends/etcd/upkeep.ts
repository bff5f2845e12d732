import { CodedError, messageOf } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import { startTicker, startTimer, stopTimer, type Timer } from '../../src/base/timers.ts';
import type { Partition } from '../../src/log/event.ts';
import { corruptText, fullText, lacksPermission } from './answers.ts';
import type { Freed } from './store.ts';
import type { Gauges } from './gauges.ts';
import { History, historyKeptMs } from './history.ts';
import type { Peers } from './peers.ts';

/** What is known of the cluster's health, and its upkeep. */
export interface Upkeep {
  readonly figures: Readonly<Record<string, number>>;
  trouble(): string | undefined;
  /** Whether etcd accepts writes, as far as is known. In trouble it is checked again soon after a call. */
  writes(): 'taken' | 'refused';
  /**
   * @throws CodedError `no_space` near the quota, for partitions that can wait: the rest is reserved for
   *   fixing that.
   */
  refuseNearQuota(partition: Partition): void;
  /** Something was deleted: its space can be freed. */
  readonly freed: Freed;
  /** A peer did not reply: how many do is checked soon. */
  unanswered(): void;
  /** A write was refused for lack of space, or accepted. */
  full(is: boolean): void;
  close(): void;
}

export interface UpkeepOptions {
  readonly peers: Pick<Peers, 'call' | 'all' | 'preferred'>;
  readonly sink: LogSink;
  /** etcd's newest revision. */
  readonly newest: () => Promise<string>;
  /** Of the database of one peer, where available. */
  readonly gaugesOf: (peer: string) => Promise<Gauges | undefined>;
  readonly everyMs?: number;
  readonly historyKeptMs?: number;
}

const usualEveryMs = 30_000;
/** In trouble it is checked more often, so that an operator's repair is noticed soon. */
const leastEveryMs = 1_000;
const recheckMs = 5_000;
const quotaEveryMs = 10 * 60_000;
/** Shares of the quota. `state` is not refused: people need it to recover (log in, lock, remove, compact). */
const share = { warn: 0.9, refuse: 0.95 };

/**
 * Checks size and alarms of the database, and asks etcd to compact its own history after something was
 * deleted.
 */
export function keepUp(options: UpkeepOptions): Upkeep {
  const { peers, sink, gaugesOf, newest, everyMs = usualEveryMs } = options;
  const history = new History(peers, options.historyKeptMs ?? historyKeptMs);
  const figures: Record<string, number> = {};
  let alarm: 'full' | 'corrupt' | undefined;
  let quota: { readonly bytes: number | undefined; readonly at: number } | undefined;
  let [lookedAt, working, closed] = [-Infinity, false, false];
  let complaint = '';
  let mostServing = 0;
  let again: Timer | undefined;
  const isClosed = (): boolean => closed;

  const lookAtSize = async (): Promise<void> => {
    try {
      const status = await peers.all((client, o) => client.maintenance.status(o));
      const largest = (field: 'dbSize' | 'dbSizeInUse'): number =>
        Math.max(...status.map((one) => Number(one[field])));
      figures['peers_answering'] = status.length;
      // A peer that replies without a leader serves nothing.
      figures['peers_serving'] = status.filter(({ leader }) => leader !== '0').length;
      figures['size_bytes'] = largest('dbSize');
      figures['used_bytes'] = largest('dbSizeInUse');
    } catch (e) {
      if (!lacksPermission(e)) [figures['peers_answering'], figures['peers_serving']] = [0, 0];
      const page = lacksPermission(e) ? await gaugesOf(peers.preferred()) : undefined;
      if (page?.size === undefined) throw e;
      figures['size_bytes'] = page.size;
      figures['used_bytes'] = page.used ?? page.size;
    }
  };
  const lookAtAlarms = async (): Promise<void> => {
    const { alarms } = await peers.call((client, o) =>
      client.maintenance.alarm({ action: 'GET' as never, memberID: 0, alarm: 'NONE' as never }, o),
    );
    const raised = alarms.map((one) => one.alarm as string);
    alarm = raised.includes('CORRUPT') ? 'corrupt' : raised.includes('NOSPACE') ? 'full' : undefined;
  };
  const lookAtQuota = async (): Promise<void> => {
    const now = performance.now();
    if (quota !== undefined && now - quota.at < quotaEveryMs && usedShare() < share.warn) return;
    quota = { bytes: (await gaugesOf(peers.preferred()))?.quota, at: now };
    if (quota.bytes === undefined) delete figures['quota_bytes'];
    else figures['quota_bytes'] = quota.bytes;
  };
  const lookAtHistory = async (): Promise<void> => {
    await history.look(newest, performance.now());
    figures['compacted_revision'] = history.compactedRevision;
  };
  const parts = { size: lookAtSize, alarms: lookAtAlarms, quota: lookAtQuota, history: lookAtHistory };
  /** Returns what failed. A missing permission does not prevent the other checks. */
  const look = async (): Promise<string> => {
    const refused: string[] = [];
    for (const [name, part] of Object.entries(parts))
      try {
        await part();
      } catch (e) {
        if (!lacksPermission(e)) return messageOf(e);
        refused.push(name);
      }
    return refused.length === 0 ? '' : `etcd does not let this user ask for: ${refused.join(', ')}`;
  };
  const usedShare = (): number => {
    const { size_bytes: size = 0, quota_bytes: most } = figures;
    return most === undefined ? 0 : size / most;
  };
  const work = async (): Promise<void> => {
    if (working || isClosed()) return;
    working = true;
    stopTimer(again);
    lookedAt = performance.now();
    const reason = await look();
    working = false;
    if (isClosed()) return;
    // Logged once per reason, not twice a minute.
    if (reason !== '' && reason !== complaint)
      sink.warn('the upkeep of etcd failed: its size, alarms and history were not looked at', { reason });
    complaint = reason;
    if (isWorse()) again = startTimer(() => void work(), recheckMs).unref();
  };
  /** Fewer peers than before: their return is noticed soon. */
  const isWorse = (): boolean => {
    const { peers_serving: now = 0 } = figures;
    mostServing = Math.max(mostServing, now);
    return now < mostServing;
  };
  const soon = (): void => {
    if (performance.now() - lookedAt >= leastEveryMs) void work();
  };
  const nearText = (): string =>
    `etcd's database is nearly full: ${mib(figures['size_bytes'])} of ${mib(figures['quota_bytes'])} that its quota allows: ` +
    'defragment (etcdctl defrag), or raise --quota-backend-bytes';
  const timer = startTicker(() => void work(), everyMs);
  timer.unref();
  void work();
  return {
    figures,
    trouble: () => {
      if (alarm !== undefined) return alarm === 'full' ? fullText : corruptText;
      return usedShare() >= share.warn ? nearText() : undefined;
    },
    writes: () => {
      if (alarm === undefined) return 'taken';
      soon();
      return 'refused';
    },
    refuseNearQuota: (partition) => {
      if (partition === 'state' || usedShare() < share.refuse) return;
      soon();
      throw new CodedError('no_space', `${nearText()}; until then nothing is appended to ${partition}`);
    },
    freed: (revision) => {
      history.freed(revision);
    },
    unanswered: soon,
    full: (is) => {
      if (is) alarm = 'full';
      else if (alarm === 'full') alarm = undefined;
    },
    close: () => {
      closed = true;
      stopTimer(timer);
      stopTimer(again);
    },
  };
}

const mib = (bytes = 0): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
