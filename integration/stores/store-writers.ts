import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Cause, StreamName } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

const cause = (): Cause => ({ at: realWorld.now(), actor: 'user:trial', requestId: 'r1' });

export const openTrialLog = (driver: SlotDriver, writer = 'trial'): Promise<ClusterLog> =>
  openLog({ driver, keyring: sharedTestKeyring, world: realWorld, writer, sink: silentLog });

/** Appends the fact number `revision + 1` to a stream. */
export const appendNext = (log: ClusterLog, stream: StreamName, revision: number): Promise<number> =>
  log.state.append(
    [{ stream, expected: revision, facts: [{ type: 'trial.happened', data: { n: revision + 1 } }] }],
    cause(),
  );

/** Writers that append as fast as they are answered, each to a stream of its own. */
export interface Writers {
  /** Acknowledged appends of each stream. */
  readonly acknowledged: ReadonlyMap<StreamName, number>;
  /** Longest time between two acknowledgements of any stream, ms. */
  longestPause(): number;
  /** Failures that were told to the writer: then it looked how far the stream is, and went on. */
  failures(): number;
  stop(): Promise<void>;
}

export function startWriters(log: ClusterLog, count: number): Writers {
  const acknowledged = new Map<StreamName, number>();
  let running = true;
  let failures = 0;
  let last = performance.now();
  let longest = 0;
  const loops = Array.from({ length: count }, async (_, i) => {
    const stream: StreamName = `writer-${i}`;
    for (let revision = 0; running;) {
      try {
        await appendNext(log, stream, revision);
        revision++;
        acknowledged.set(stream, revision);
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
      } catch {
        failures++;
        await delay(20);
        revision = await log.state.revision(stream).catch(() => revision);
      }
    }
  });
  return {
    acknowledged,
    longestPause: () => longest,
    failures: () => failures,
    stop: async () => {
      running = false;
      await Promise.all(loops);
    },
  };
}

export interface Tally {
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outOfOrder: number;
}

/** Compares what a log holds with what its writers were told. */
export async function tallyOf(
  log: ClusterLog,
  acknowledged: ReadonlyMap<StreamName, number>,
): Promise<Tally> {
  const found = new Map<StreamName, number[]>();
  for await (const event of log.state.history(0)) {
    if (!acknowledged.has(event.stream)) continue;
    found.set(event.stream, [...(found.get(event.stream) ?? []), (event.fact.data as { n: number }).n]);
  }
  let [total, lost, doubled, outOfOrder] = [0, 0, 0, 0];
  for (const [stream, count] of acknowledged) {
    const numbers = found.get(stream) ?? [];
    total += count;
    lost += Array.from({ length: count }, (_, i) => i + 1).filter((n) => !numbers.includes(n)).length;
    doubled += numbers.length - new Set(numbers).size;
    outOfOrder += numbers.filter((n, i) => n !== i + 1).length;
  }
  return { acknowledged: total, lost, doubled, outOfOrder };
}
