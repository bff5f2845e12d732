import { hash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ClusterLog } from './event-log.ts';
import { logTrouble } from './log-trouble.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { addEvents, cause, openOn } from './signed-head-testing.ts';
import { collectUntil } from './testing.ts';
import { verifyLog } from './verify.ts';

let store: MemoryStore;
let log: ClusterLog;
beforeEach(async () => {
  store = memoryStore();
  log = await openOn(store);
  await addEvents(log, 'state', 3);
});

/** As a version with another batch format would: its own bytes in the middle, its hash at the end. */
const writeNewer = (slot: number, own = true): void => {
  const content = Buffer.concat([
    Buffer.of(3),
    Buffer.from('what only the newer version understands '.repeat(4)),
  ]);
  const digest = own ? hash('sha256', content, 'buffer') : Buffer.alloc(32);
  store.slots.get('state')?.set(slot, Buffer.concat([content, digest]));
};
const newer =
  'slot 4 of the state log cannot be read: it was written by a newer version of teleport (batch format 3, this one knows 2): upgrade';

describe('a log that a newer version wrote', () => {
  it('does not open, and says so', async () => {
    writeNewer(4);
    await expect(openOn(store)).rejects.toMatchObject({ code: 'misconfigured', message: newer });
    await log.close();
  });

  it('is served as it was by a process that had it open, which writes nothing more', async () => {
    writeNewer(4);
    const append = log.state.append(
      [{ stream: 'b-1', expected: 0, facts: [{ type: 'trial.happened', data: {} }] }],
      cause,
    );
    await expect(append).rejects.toMatchObject({ code: 'unavailable', message: newer });
    expect(await collectUntil(log.state.history(0), 'unavailable')).toHaveLength(3);
    expect(log.stats().state).toMatchObject({
      damage: undefined,
      fence: { status: 'unknown', reason: newer },
    });
    expect(logTrouble(log)).toBe(newer);
    await addEvents(log, 'audit', 1);
    await log.close();
  });

  it('is told from one that is damaged, also in the byte of the version', async () => {
    writeNewer(4, false);
    const damaged = await openOn(store);
    expect(damaged.stats().state.damage).toBe('slot 4: the bytes do not have their hash');
    writeNewer(4);
    expect((await verifyLog(memoryDriver(store))).bad).toMatchObject({
      slot: 4,
      reason: expect.stringMatching(/^it was written by a newer version of teleport/) as string,
    });
    await Promise.all([log.close(), damaged.close()]);
  });
});
