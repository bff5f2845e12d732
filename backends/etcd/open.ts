import { pause } from '../../src/base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { World } from '../../src/base/world.ts';
import type { Partition } from '../../src/log/event.ts';
import type { SlotDriver, StoredSlot } from '../../src/log/slot-driver.ts';
import { blobStore } from './blobs.ts';
import { checkVersion, claimPrefix } from './format.ts';
import { watchRange } from './hints.ts';
import { keysBelow } from './keys.ts';
import { commitTimeoutMs, type EtcdOptions, maxBatchBytes } from './options.ts';
import { Peers } from './peers.ts';
import { readRange } from './ranges.ts';
import { keepUp } from './upkeep.ts';

/**
 * The store in an etcd of version 3.3 or later. Any peer that belongs to a quorum is enough.
 * @param env with `reading`, nothing is written.
 * @throws CodedError `unavailable` when no peer answered within `dialTimeoutMs`, `misconfigured` for wrong credentials, a
 * file that cannot be read, an etcd that is too old, or a prefix that holds something else; `not_found` when reading and
 * there is no log.
 */
export async function openEtcdDriver(
  options: EtcdOptions,
  {
    sink,
    world,
    reading = false,
  }: { readonly sink: LogSink; readonly world: World; readonly reading?: boolean },
): Promise<SlotDriver> {
  const peers = new Peers(options);
  const keys = keysBelow(options.prefix);
  try {
    await firstAnswer(peers, options);
    await claimPrefix(peers, keys, options.prefix, reading);
  } catch (e) {
    peers.close();
    throw e;
  }
  const upkeep = keepUp(peers, sink);
  return {
    limits: { maxBatchBytes },
    commit: async (partition, slot, batch) => {
      const key = Buffer.from(keys.slot(partition, slot));
      try {
        const { succeeded } = await peers.call(
          (client, o) =>
            client.kv.txn(
              {
                compare: [{ key, target: 'Version', result: 'Equal', version: 0 }],
                success: [{ request_put: { key, value: Buffer.from(batch) } }],
              } as never,
              o,
            ),
          { writing: true, timeoutMs: commitTimeoutMs },
        );
        upkeep.full(false);
        return succeeded ? 'committed' : 'taken';
      } catch (e) {
        if (isCoded(e, 'no_space')) upkeep.full(true);
        throw e;
      }
    },
    read: (partition, from) => slotsFrom(partition, from),
    hints: (partition) =>
      watchRange(peers, { from: keys.slot(partition, 0), end: keys.slotsEnd(partition) }, world),
    trim: async (partition, before) => {
      await peers.call((client, o) =>
        client.kv.deleteRange(
          { key: Buffer.from(keys.slot(partition, 0)), range_end: Buffer.from(keys.slot(partition, before)) },
          o,
        ),
      );
      upkeep.trimmed();
    },
    vault: blobStore(peers, keys, 'vault'),
    snapshots: blobStore(peers, keys, 'snapshots'),
    report: () => ({
      type: 'etcd',
      place: `${options.peers.join(', ')} prefix ${options.prefix}`,
      trouble: upkeep.trouble(),
      figures: { ...upkeep.figures, calls: peers.counters.calls, failovers: peers.counters.failovers },
    }),
    close: () => {
      upkeep.close();
      peers.close();
      return Promise.resolve();
    },
  };

  async function* slotsFrom(partition: Partition, from: number): AsyncGenerator<StoredSlot> {
    const range = { from: keys.slot(partition, from), end: keys.slotsEnd(partition) };
    for await (const { key, value } of readRange(peers, range))
      yield { slot: keys.slotOf(key), batch: value };
  }
}

/** Tries until a peer answers, or the time is over. Wrong credentials are not tried again. */
async function firstAnswer(peers: Peers, { dialTimeoutMs }: EtcdOptions): Promise<void> {
  const end = performance.now() + dialTimeoutMs;
  for (;;) {
    try {
      const { version } = await peers.call((client, options) => client.maintenance.status(options));
      checkVersion(version);
      return;
    } catch (e) {
      if (!isCoded(e, 'unavailable')) throw e;
      if (performance.now() >= end)
        throw new CodedError('unavailable', `${messageOf(e)} (tried for ${dialTimeoutMs / 1000} s)`, {
          cause: e,
        });
      await pause(250, AbortSignal.timeout(1_000));
    }
  }
}
