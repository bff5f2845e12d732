import { CodedError, isCoded } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { World } from '../../src/base/world.ts';
import type { BlobStore, Room, SlotDriver } from '../../src/log/slot-driver.ts';
import { appendSlot } from './appending.ts';
import { blobStore } from './blobs.ts';
import { connectionsTo } from './connection.ts';
import { firstAnswer } from './first-answer.ts';
import { claimPrefix, newestRevision } from './format.ts';
import { watchHead } from './hints.ts';
import { keysBelow } from './keys.ts';
import { News } from './news.ts';
import { defaultMessageBytes, type EtcdOptions, leastMessageBytes, maxBatchBytes } from './options.ts';
import { Peers } from './peers.ts';
import { gaugesOf } from './gauges.ts';
import { loadSlots } from './loading.ts';
import { boundsOf } from './marks.ts';
import { slotsFrom } from './reading.ts';
import type { Store } from './store.ts';
import { recordFloors, trimSlots } from './trimming.ts';
import { expiryOf, worriesOf } from './worries.ts';
import { keepUp, type UpkeepOptions } from './upkeep.ts';

/**
 * The store in an etcd of version 3.3 or later. Any peer that belongs to a quorum is enough.
 * @param env with `reading`, nothing is written; `waitsFor` is called with the reason why it is not open yet;
 *   `upkeep`: how often it looks, and how long history is kept, for tests.
 * @throws CodedError `unavailable` when no peer answered within `dialTimeoutMs`, `misconfigured` for wrong
 *   credentials, a file that cannot be read, an etcd that is too old, or a prefix that holds something else;
 *   `not_found` when reading and there is no log.
 */
export async function openEtcdDriver(
  options: EtcdOptions,
  {
    sink,
    world,
    reading = false,
    waitsFor = () => undefined,
    upkeep: pace = {},
  }: {
    readonly sink: LogSink;
    readonly world: World;
    readonly waitsFor?: (text: string) => void;
    readonly reading?: boolean;
    readonly upkeep?: Pick<UpkeepOptions, 'everyMs' | 'historyKeptMs'>;
  },
): Promise<SlotDriver> {
  const peers = new Peers(
    connectionsTo(checked(options), () => {
      sink.warn('etcd asks for no user name and password (its authentication is off): ours are not used', {});
    }),
    world,
  );
  for (const worry of worriesOf(options, Date.parse(world.now()))) sink.warn(worry, {});
  const keys = keysBelow(options.prefix);
  try {
    const claim = async (): Promise<void> => {
      await claimPrefix(peers, keys, options.prefix, reading);
      if (!reading) await recordFloors({ peers, keys });
    };
    await firstAnswer(peers, options, { claim, waitsFor });
  } catch (e) {
    peers.close();
    throw withExpiry(e, options, world);
  }
  const upkeep = keepUp({
    ...pace,
    peers,
    sink,
    newest: () => newestRevision(peers, keys),
    gaugesOf: (peer) => gaugesOf(peer, options),
  });
  peers.unanswered = () => {
    upkeep.unanswered();
  };
  const store: Store = {
    peers,
    keys,
    freed: upkeep.freed,
    wrote: (refusal) => {
      // Another refusal is not about space.
      if (refusal === undefined) upkeep.full(false);
      else if (isCoded(refusal, 'no_space')) upkeep.full(true);
    },
  };
  const news = new News();
  return {
    limits: { maxBatchBytes },
    append: async (partition, after, batch) => {
      upkeep.refuseNearQuota(partition);
      return news.writing(partition, after.slot + 1, () => appendSlot(store, partition, after, batch));
    },
    load: (partition, slots) => loadSlots(store, partition, slots),
    read: (partition, from, after) => slotsFrom(store, partition, from, after),
    bounds: async (partition) => {
      const { floor, head } = await boundsOf(store, partition);
      return { floor, head };
    },
    hints: (partition) => news.of(partition, watchHead(peers, keys.head(partition), world)),
    trim: (partition, before) => trimSlots(store, partition, before),
    vault: tellingRefusals(blobStore(store, 'vault'), store),
    snapshots: tellingRefusals(blobStore(store, 'snapshots'), store),
    meta: tellingRefusals(blobStore(store, 'meta'), store),
    report: () => ({
      type: 'etcd',
      place: `${options.peers.join(', ')} prefix ${options.prefix}`,
      writes: upkeep.writes(),
      trouble: upkeep.trouble(),
      figures: { ...upkeep.figures, ...peers.counters },
      room: roomOf(upkeep.figures),
    }),
    close: () => {
      upkeep.close();
      peers.close();
      return Promise.resolve();
    },
  };
}

/** A value that etcd has no space for shows the same as a batch. */
function tellingRefusals(blobs: BlobStore, { wrote }: Pick<Store, 'wrote'>): BlobStore {
  const told = <T>(writing: Promise<T>): Promise<T> =>
    writing.catch((e: unknown) => {
      if (isCoded(e, 'no_space')) wrote(e);
      throw e;
    });
  return {
    ...blobs,
    create: (key, value) => told(blobs.create(key, value)),
    replace: (key, from, to) => told(blobs.replace(key, from, to)),
  };
}

/** From the quota of the whole etcd, which others may fill as well. */
function roomOf({ quota_bytes: quota, size_bytes: size }: Readonly<Record<string, number>>): Room {
  if (quota === undefined || size === undefined) return { status: 'not known' };
  return { status: 'known', freeBytes: Math.max(0, quota - size), of: 'quota' };
}

/** Servers do not report why they refuse a client's certificate; usually because it has expired. */
function withExpiry(e: unknown, { tlsCertFile }: EtcdOptions, world: World): unknown {
  if (tlsCertFile === undefined || !isCoded(e, 'unavailable') || !e.message.includes('tls_cert_file'))
    return e;
  const expiry = expiryOf(tlsCertFile, Date.parse(world.now()));
  return expiry === undefined ? e : new CodedError('unavailable', `${e.message}; ${expiry}`, { cause: e });
}

/** @throws CodedError `misconfigured` */
function checked(options: EtcdOptions): EtcdOptions {
  const { maxClientMessageBytes: most = defaultMessageBytes } = options;
  if (most < leastMessageBytes)
    throw new CodedError(
      'misconfigured',
      `etcd: etcd_max_client_msg_size_bytes is ${most}: at least ${leastMessageBytes} is needed, a batch of the log must fit`,
    );
  return options;
}
