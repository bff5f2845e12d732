import { messageOf } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { Peers } from './peers.ts';

/** What is known of the cluster's health, and what we do for it. */
export interface Upkeep {
  readonly figures: Readonly<Record<string, number>>;
  trouble(): string | undefined;
  /** Slots before `revision` of etcd were deleted: what they took can be given back. */
  trimmed(): void;
  /** A write was refused for lack of space, or taken. */
  full(is: boolean): void;
  close(): void;
}

const everyMs = 30_000;
/** Revisions that are kept behind the newest, for other readers of this etcd. */
const keptRevisions = 10_000;

/** Looks at size and alarms of the database, and asks etcd to compact its own history after trims. */
export function keepUp(peers: Peers, sink: LogSink): Upkeep {
  const figures: Record<string, number> = {};
  let isFull = false;
  let due = false;
  let working = false;
  const look = async (): Promise<void> => {
    const status = await peers.call((client, options) => client.maintenance.status(options));
    figures['size_bytes'] = Number(status.dbSize);
    const alarms = await peers.call((client, options) =>
      client.maintenance.alarm({ action: 'GET' as never, memberID: 0, alarm: 'NONE' as never }, options),
    );
    isFull = alarms.alarms.some((one) => (one.alarm as string) === 'NOSPACE');
  };
  const compact = async (): Promise<void> => {
    const { header } = await peers.call((client, options) =>
      client.kv.range({ key: Buffer.from('\0'), limit: 1, keys_only: true }, options),
    );
    const revision = Number(header.revision) - keptRevisions;
    if (revision <= 0) return;
    try {
      await peers.call((client, options) => client.kv.compact({ revision }, options));
      figures['compacted_revision'] = revision;
    } catch (e) {
      // Somebody else did, up to a later one.
      if (!messageOf(e).includes('compacted')) throw e;
    }
  };
  const work = async (): Promise<void> => {
    if (working) return;
    working = true;
    try {
      await look();
      if (due) await compact();
      due = false;
    } catch (e) {
      sink.debug('etcd could not be looked after', { reason: messageOf(e) });
    } finally {
      working = false;
    }
  };
  const timer = setInterval(() => void work(), everyMs);
  timer.unref();
  void work();
  return {
    figures,
    trouble: () =>
      isFull
        ? 'etcd takes no writes: its database has reached its quota (etcdctl defrag; etcdctl alarm disarm; or raise --quota-backend-bytes)'
        : undefined,
    trimmed: () => {
      due = true;
    },
    full: (is) => {
      isFull = is;
    },
    close: () => {
      clearInterval(timer);
    },
  };
}
