import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import type { Decider } from './decider.ts';
import type { ClusterLog, EventLog } from './event-log.ts';
import type { Cause, Fact } from './event.ts';
import { execute, guard, step, transact } from './execute.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { memoryLog } from './memory-log.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:test', requestId: 'r1' };

type Added = Fact<'counter.added', { by: number }>;
const counter: Decider<number, { add: number }, Added> = {
  fact: z.object({ type: z.literal('counter.added'), data: z.object({ by: z.number() }) }),
  initial: 0,
  decide: (_state, { add }) => (add === 0 ? [] : [{ type: 'counter.added', data: { by: add } }]),
  evolve: (state, fact) => state + fact.data.by,
};

const keyring = memoryKeyring(realWorld);
const opened = (driver: SlotDriver): Promise<ClusterLog> =>
  openLog({ driver, keyring, world: realWorld, writer: 'w', sink: silentLog });

/** A log whose commits wait until they are let through. */
const gated = async () => {
  const inner = memoryDriver(memoryStore());
  const waiting: (() => void)[] = [];
  let open = true;
  const driver: SlotDriver = {
    ...inner,
    append: async (...about) => {
      if (!open) await new Promise<void>((go) => waiting.push(go));
      return inner.append(...about);
    },
  };
  return {
    log: await opened(driver),
    waiting,
    shut: () => {
      open = false;
    },
    open: () => {
      open = true;
      for (const go of waiting.splice(0)) go();
    },
  };
};
const guarding = (log: EventLog, n: number, terms = {}, by: typeof counter = counter) =>
  transact(
    log,
    [guard(by, 'counter-shared', { add: 0 }), step(counter, `counter-${n}`, { add: 1 })] as const,
    cause,
    terms,
  );

describe('a guard', () => {
  it('lets all who guard the same stream into one commit, without a conflict', async () => {
    const { log, waiting, shut, open } = await gated();
    await execute(log.state, counter, 'counter-shared', { add: 7 }, cause);
    shut();
    const first = guarding(log.state, 0);
    await expect.poll(() => waiting.length).toBe(1);
    const rest = Array.from({ length: 20 }, (_, n) => guarding(log.state, n + 1));
    await expect.poll(() => log.stats().state.waitingAppends).toBe(20);
    open();
    await Promise.all([first, ...rest]);
    expect(log.stats().state).toMatchObject({ appends: 22, batches: 3, conflicts: 0 });
    expect(await log.state.revision('counter-shared')).toBe(1);
    await log.close();
  });

  it('does not hold when another process has changed the stream: then it is decided by what is there', async () => {
    const store = memoryStore();
    const [own, other] = [await opened(memoryDriver(store)), await opened(memoryDriver(store))];
    const asOf = await own.state.head();
    await execute(other.state, counter, 'counter-shared', { add: 100 }, cause);
    const decidedBy: number[] = [];
    const refusing: typeof counter = {
      ...counter,
      decide: (state) => {
        decidedBy.push(state);
        if (state >= 100) throw new CodedError('access_denied', 'changed');
        return [];
      },
    };
    const guarded = Array.from({ length: 3 }, (_, n) => guarding(own.state, n, { asOf }, refusing));
    for (const one of await Promise.allSettled(guarded))
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'access_denied' } });
    expect(decidedBy).toEqual([0, 0, 0, 100, 100, 100]);
    expect(await own.state.head()).toBe(1);
    await own.close();
    await other.close();
  });

  it('is a conflict where something follows from it, and nothing is appended', async () => {
    const { state: log } = memoryLog();
    const both = [
      guard(counter, 'counter-shared', { add: 1 }),
      step(counter, 'counter-own', { add: 1 }),
    ] as const;
    await expect(transact(log, both, cause)).rejects.toMatchObject({ code: 'conflict' });
    expect(await log.head()).toBe(0);
  });

  it('waits for whoever writes the stream in this process, and decides by that', async () => {
    const { log, waiting, shut, open } = await gated();
    shut();
    const writing = execute(log.state, counter, 'counter-shared', { add: 3 }, cause);
    await expect.poll(() => waiting.length).toBe(1);
    const guarded = guarding(log.state, 1);
    open();
    await writing;
    expect((await guarded).outcomes[0].state).toBe(3);
    expect(log.stats().state.conflicts).toBe(0);
    await log.close();
  });
});
