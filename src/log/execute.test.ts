import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import type { Decider } from './decider.ts';
import type { Cause, Fact } from './event.ts';
import { execute, load, step, transact } from './execute.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { memoryLog } from './memory-log.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';
import { startDecisionsAt } from './starting-points.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:test', requestId: 'r1' };

type Added = Fact<'counter.added', { by: number }>;
/** Counts; refuses to go above 100. */
const counter: Decider<number, { add: number }, Added> = {
  fact: z.object({ type: z.literal('counter.added'), data: z.object({ by: z.number() }) }),
  initial: 0,
  decide: (state, { add }) => {
    if (state + add > 100) throw new CodedError('limit_exceeded', 'full');
    return add === 0 ? [] : [{ type: 'counter.added', data: { by: add } }];
  },
  evolve: (state, fact) => state + fact.data.by,
};

describe('executing a command', () => {
  it('answers the facts, the state after them and the position', async () => {
    const { state: log } = memoryLog();
    expect(await execute(log, counter, 'counter-a', { add: 2 }, cause)).toEqual({
      facts: [{ type: 'counter.added', data: { by: 2 } }],
      state: 2,
      position: 1,
    });
    expect(await execute(log, counter, 'counter-a', { add: 3 }, cause)).toMatchObject({
      state: 5,
      position: 2,
    });
  });

  it('appends nothing when nothing changes', async () => {
    const { state: log } = memoryLog();
    const done = await execute(log, counter, 'counter-a', { add: 0 }, cause);
    expect(done).toEqual({ facts: [], state: 0, position: undefined });
    expect(await log.head()).toBe(0);
  });

  it('begins where others have folded to, and never before what it knows', async () => {
    const { state: log } = memoryLog();
    for (let n = 0; n < 3; n++) await execute(log, counter, 'counter-a', { add: 1 }, cause);
    const parsed: unknown[] = [];
    const counting: typeof counter = {
      ...counter,
      fact: {
        parse: (stored) => {
          parsed.push(stored);
          return counter.fact.parse(stored);
        },
      },
    };
    let revision = 2;
    startDecisionsAt(log, () => ({ state: revision as never, revision }));
    expect(await load(log, counting, 'counter-a')).toEqual({ state: 3, revision: 3 });
    expect(parsed).toHaveLength(1);
    revision = 1;
    expect((await execute(log, counting, 'counter-a', { add: 5 }, cause)).state).toBe(8);
    expect(parsed).toHaveLength(1);
  });

  it('reads what it has folded only once', async () => {
    const { state: log } = memoryLog();
    let parsed = 0;
    const counting: typeof counter = {
      ...counter,
      fact: {
        parse: (stored) => {
          parsed++;
          return counter.fact.parse(stored);
        },
      },
    };
    for (let n = 1; n <= 5; n++) await execute(log, counting, 'counter-a', { add: 1 }, cause);
    expect(parsed).toBe(4);
  });

  it('lets each of fifty racers win once', async () => {
    const { state: log } = memoryLog();
    const all = Array.from({ length: 50 }, () => execute(log, counter, 'counter-a', { add: 1 }, cause));
    await Promise.all(all);
    expect((await execute(log, counter, 'counter-a', { add: 0 }, cause)).state).toBe(50);
  });

  it('refuses what the rule refuses, on the newest state', async () => {
    const { state: log } = memoryLog();
    await execute(log, counter, 'counter-a', { add: 100 }, cause);
    await expect(execute(log, counter, 'counter-a', { add: 1 }, cause)).rejects.toMatchObject({
      code: 'limit_exceeded',
    });
  });

  it('decides again when another writer was first', async () => {
    const { state: log } = memoryLog();
    let interfered = false;
    const slow: typeof counter = {
      ...counter,
      decide: (state, command) => {
        if (!interfered)
          void log.append(
            [{ stream: 'counter-a', expected: 0, facts: [{ type: 'counter.added', data: { by: 60 } }] }],
            cause,
          );
        interfered = true;
        return counter.decide(state, command);
      },
    };
    await expect(execute(log, slow, 'counter-a', { add: 50 }, cause)).rejects.toMatchObject({
      code: 'limit_exceeded',
    });
  });

  it('refuses to decide on a stream it cannot read', async () => {
    const { state: log } = memoryLog();
    const unknown = { type: 'counter.invented_later', data: {} };
    await log.append([{ stream: 'counter-a', expected: 0, facts: [unknown] }], cause);
    await expect(execute(log, counter, 'counter-a', { add: 1 }, cause)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

describe('a transaction over several streams', () => {
  it('appends all in one go and answers each outcome', async () => {
    const { state: log } = memoryLog();
    const done = await transact(
      log,
      [step(counter, 'counter-a', { add: 1 }), step(counter, 'counter-b', { add: 2 })],
      cause,
    );
    expect(done.position).toBe(2);
    const [a, b] = done.outcomes;
    expect([a.state, b.state]).toEqual([1, 2]);
  });

  it('appends nothing when one step refuses', async () => {
    const { state: log } = memoryLog();
    const steps = [step(counter, 'counter-a', { add: 1 }), step(counter, 'counter-b', { add: 101 })] as const;
    await expect(transact(log, steps, cause)).rejects.toMatchObject({ code: 'limit_exceeded' });
    expect(await log.head()).toBe(0);
  });

  it('guards the streams of steps that change nothing', async () => {
    const { state: log } = memoryLog();
    let rounds = 0;
    const watched: typeof counter = {
      ...counter,
      decide: (state, command) => {
        rounds++;
        if (rounds === 1)
          void log.append(
            [{ stream: 'counter-b', expected: 0, facts: [{ type: 'counter.added', data: { by: 1 } }] }],
            cause,
          );
        return counter.decide(state, command);
      },
    };
    const steps = [step(counter, 'counter-a', { add: 1 }), step(watched, 'counter-b', { add: 0 })] as const;
    const { outcomes } = await transact(log, steps, cause);
    expect(rounds).toBe(2);
    expect(outcomes[1].state).toBe(1);
  });
});

describe('a command that is decided by the whole log', () => {
  it.each(['another', 'the same'])('is decided again after an append to %s process', async (whose) => {
    const [store, keyring] = [memoryStore(), memoryKeyring()];
    const open = (writer: string) =>
      openLog({ driver: memoryDriver(store), keyring, world: realWorld, sink: silentLog, writer });
    const [one, two] = [await open('one'), await open('two')];
    const { state: other } = whose === 'another' ? two : one;
    const asked: number[] = [];
    const { position } = await transact(one.state, [step(counter, 'counter-a', { add: 1 })], cause, {
      asOf: await one.state.head(),
      byWhole: async (asOf) => {
        asked.push(asOf);
        if (asked.length === 1) await execute(other, counter, 'counter-b', { add: 1 }, cause);
      },
    });
    expect([asked, position]).toEqual([[0, 1], 2]);
    await one.close();
    await two.close();
  });

  it('is not stored when that refuses at last', async () => {
    const { state: log } = memoryLog();
    const byWhole = async (): Promise<void> => {
      if ((await log.revision('counter-b')) > 0) throw new CodedError('bad_request', 'somebody has it');
      await execute(log, counter, 'counter-b', { add: 1 }, cause);
    };
    const done = transact(log, [step(counter, 'counter-a', { add: 1 })], cause, { byWhole });
    await expect(done).rejects.toMatchObject({ code: 'bad_request' });
    expect(await log.revision('counter-a')).toBe(0);
  });
});

describe('a command by what was known when its operation looked', () => {
  const twoServers = async () => {
    const store = memoryStore();
    let reads = 0;
    const driver = memoryDriver(store);
    const counting: SlotDriver = {
      ...driver,
      read: (partition, from) => {
        if (partition === 'state') reads++;
        return driver.read(partition, from);
      },
    };
    const shared = { keyring: memoryKeyring(), world: realWorld, sink: silentLog };
    const here = await openLog({ ...shared, driver: counting, writer: 'here' });
    const there = await openLog({ ...shared, driver: memoryDriver(store), writer: 'there' });
    return { here: here.state, there: there.state, reads: () => reads };
  };
  const add = (by: number) => step(counter, 'counter-a', { add: by });

  it('is decided and stored without another look', async () => {
    const { here, reads } = await twoServers();
    const asOf = await here.head();
    const before = reads();
    const { outcomes } = await transact(here, [add(2)], cause, { asOf });
    expect([outcomes[0].state, reads()]).toEqual([2, before]);
  });

  it('is decided anew when another process was faster, and never by what is no longer so', async () => {
    const { here, there } = await twoServers();
    const asOf = await here.head();
    await execute(there, counter, 'counter-a', { add: 60 }, cause);
    await expect(transact(here, [add(60)], cause, { asOf })).rejects.toMatchObject({
      code: 'limit_exceeded',
    });
    await execute(there, counter, 'counter-a', { add: 1 }, cause);
    expect((await transact(here, [add(5)], cause, { asOf })).outcomes[0].state).toBe(66);
  });

  it('looks when less is known here than the operation saw', async () => {
    const { here, there } = await twoServers();
    await execute(there, counter, 'counter-a', { add: 100 }, cause);
    const asOf = await there.head();
    await expect(transact(here, [add(1)], cause, { asOf })).rejects.toMatchObject({ code: 'limit_exceeded' });
  });

  it('asks the deadline before each append, and leaves nothing behind when it refuses', async () => {
    const { here } = await twoServers();
    const deadline = {
      begin: () => {
        throw new CodedError('unavailable', 'too late');
      },
      isOver: () => false,
    };
    await expect(transact(here, [add(1)], cause, { deadline })).rejects.toThrow('too late');
    expect(await here.head()).toBe(0);
    expect((await transact(here, [add(0)], cause, { deadline })).position).toBeUndefined();
  });
});
