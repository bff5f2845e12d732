import { describe, expect, it } from 'vitest';
import { fakeWorld, recordingMetrics, recordingSink } from '../../api/testing.ts';
import { minute, second } from '../../base/time.ts';
import { encodeBatch } from '../../log/batch.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { partitions } from '../../log/event.ts';
import { memoryKeyring, noKeyring } from '../../log/keyring.ts';
import { memoryDriver, memoryStore } from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import { uuidV7 } from '../../log/uuid-v7.ts';
import { sealAfterMs, startCompaction } from './compaction.ts';
import { addUser, authHostId, openTestAuth } from '../testing.ts';

const world = fakeWorld();
const store = memoryStore();
const keyring = memoryKeyring(world);
const authenticFrom = (log: ClusterLog): (number | undefined)[] =>
  partitions.map((one) => log.stats()[one].authenticFrom);

describe('a log that the release before began', () => {
  it('is sealed once no auth server of that release has written for ten minutes, and opens after that', async () => {
    // One batch in each partition, as that release wrote it.
    const old = await openLog({
      driver: memoryDriver(store),
      keyring: noKeyring,
      world,
      writer: 'old',
      sink: recordingSink(),
    });
    const cause = { at: world.now(), actor: 'auth', requestId: 'r' };
    const facts = [{ type: 'test.happened', data: {} }];
    for (const partition of partitions)
      await old[partition].append([{ stream: 'a-1', expected: 0, facts }], cause);
    /** An auth server of that release goes on beside us. */
    const writeAsBefore = async (): Promise<void> => {
      const { slot, position, hash } = old.stats().presence;
      const id = uuidV7(world);
      const header = { partition: 'presence', slot: slot + 1, firstPosition: position + 1 } as const;
      const event = JSON.stringify({
        ...{ id, stream: `b-${slot}`, type: 'test.happened', actor: 'auth', requestId: 'r', data: {} },
        ...{ revision: 1, at: world.now() },
      });
      const previous = Buffer.from(hash, 'hex');
      const batch = encodeBatch({ ...header, previous, id, writer: 'old' }, [event]);
      await memoryDriver(store).append('presence', { slot, hash: previous }, batch);
    };
    const sink = recordingSink();
    const log = await openLog({ driver: memoryDriver(store), keyring, world, writer: 'auth', sink });
    const auth = await openTestAuth({ world, log });
    const { deps } = auth;
    const compaction = startCompaction({
      ...{
        log,
        views: deps.views,
        tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
        world,
        sink,
        metrics: recordingMetrics(),
        hostId: authHostId,
      },
    });
    let beats = 0;
    /** As long as an auth server runs it says so. */
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 30 * second) {
        world.advance(30 * second);
        await log.presence.append([{ stream: `beat-${++beats}`, expected: 0, facts }], cause);
        await compaction.run();
      }
    };
    await addUser(auth, 'alice', 'a good password');
    await pass(sealAfterMs - 3 * minute);
    await old.presence.head();
    await writeAsBefore();
    await log.presence.head();
    await pass(4 * minute);
    expect(authenticFrom(log)).toEqual([undefined, undefined, undefined, undefined]);
    // While nobody can write, or this one reads nothing, it is not seen who would.
    world.advance(2 * sealAfterMs);
    await compaction.run();
    await pass(minute);
    expect(authenticFrom(log)).toEqual([undefined, undefined, undefined, undefined]);
    await pass(sealAfterMs);
    expect(authenticFrom(log).every((one) => one !== undefined)).toBe(true);
    expect(sink.lines.filter((line) => line.includes('has a MAC from now on'))).toHaveLength(4);
    await addUser(auth, 'bob', 'a good password');
    await compaction.close();
    await auth.close();
    await log.close();
    await old.close();
    const later = await openLog({ driver: memoryDriver(store), keyring, world, writer: 'auth', sink });
    expect(partitions.map((one) => later.stats()[one].damage)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    const again = await openTestAuth({ world, log: later });
    expect(again.deps.views.users.state().known.size).toBe(2);
    await again.close();
    await later.close();
  });
});
