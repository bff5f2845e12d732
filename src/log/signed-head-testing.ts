import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { authenticityOf, macBytes, macKeyIdBytes } from './authenticity.ts';
import { encodeBatch, decodeBatch } from './batch.ts';
import type { ClusterLog } from './event-log.ts';
import type { Cause, Partition } from './event.ts';
import { memoryKeyring } from './keyring.ts';
import { openHeadSigner } from './log-key.ts';
import { memoryDriver, type MemoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import { appendSignedHead, newestHead } from './signed-head-append.ts';
import type { SignedHead } from './signed-head.ts';

export const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:trial', requestId: 'r1' };
const keyring = memoryKeyring();

/** A log on a store that a test may spoil. */
export const openOn = (store: MemoryStore): Promise<ClusterLog> =>
  openLog({ driver: memoryDriver(store), keyring, world: realWorld, writer: 'w', sink: silentLog });

export async function addEvents(log: ClusterLog, partition: Partition, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const expected = await log[partition].revision('a-1');
    const facts = [{ type: 'trial.happened', data: { n, text: 'as it was' } }];
    await log[partition].append([{ stream: 'a-1', expected, facts }], cause);
  }
}

export async function signNow(log: ClusterLog, partition: Partition): Promise<SignedHead> {
  const signer = await openHeadSigner(log.state, cause);
  const made = await appendSignedHead(
    log,
    partition,
    await newestHead(log[partition], partition),
    signer,
    cause,
  );
  if (made?.head === undefined) throw new Error('another has signed');
  return made.head;
}

/** A key that is not the log's. */
export const stranger = authenticityOf(Buffer.alloc(32));

/**
 * What the owner of a store can do without its keyring: change a text in the batches, and rewrite the chain
 * from there on, so that it is consistent. `stored` are all of them from the first that is changed.
 */
export function rewritten(
  stored: Iterable<readonly [number, Uint8Array]>,
  from: string,
  to: string,
): [number, Uint8Array][] {
  let previous: Buffer | undefined;
  return [...stored].map(([slot, bytes]) => {
    const batch = decodeBatch(bytes);
    const content = Buffer.from(bytes).subarray(
      0,
      batch.version === 1 ? -32 : -32 - macBytes - macKeyIdBytes,
    );
    const list = content.subarray(content.indexOf('[{"id"')).toString();
    const text = previous === undefined ? list.replace(from, to) : list;
    const events = (JSON.parse(text) as object[]).map((one) => JSON.stringify(one));
    const made = encodeBatch(
      { ...batch, previous: previous ?? batch.previous },
      events,
      batch.version === 1 ? undefined : stranger,
    );
    previous = decodeBatch(made).hash;
    return [slot, made];
  });
}

/** The same in a store in memory: the event in `slot` is changed. */
export function rewriteFrom(store: MemoryStore, partition: Partition, slot: number): void {
  const slots = store.slots.get(partition) ?? new Map<number, Uint8Array>();
  const behind = [...slots].filter(([n]) => n >= slot);
  for (const [at, made] of rewritten(behind, 'as it was', 'not so at all')) slots.set(at, made);
}
