import { beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { add, cause, fact, keyring, open } from './copy-testing.ts';
import type { ClusterLog } from './event-log.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';
import { collect } from './testing.ts';

let store: MemoryStore;
let log: ClusterLog;
/** What happens at the next append to the store; then nothing more. */
let atAppend: ((...args: Parameters<SlotDriver['append']>) => unknown) | undefined;
const slots = (): Map<number, Uint8Array> => store.slots.get('state') ?? expect.unreachable();

/** A log that knows slots 1 to 4, on a store that was put back to 2. */
beforeEach(async () => {
  store = memoryStore();
  const driver = memoryDriver(store);
  atAppend = undefined;
  const append: SlotDriver['append'] = async (...args) => {
    const act = atAppend;
    atAppend = undefined;
    await act?.(...args);
    return driver.append(...args);
  };
  log = await openLog({
    ...{ driver: { ...driver, append }, keyring, world: realWorld, writer: 'w', sink: silentLog },
    pollMs: 1_000_000,
  });
  for (let n = 1; n <= 4; n++) await add(log, 'state', `a-${n % 2}`, fact(n));
  for (const slot of [3, 4]) slots().delete(slot);
});

const told = async (): Promise<unknown[]> =>
  (await collect((await open(store)).state.read('recovery-state'))).map((event) => event.fact.data);
const full = (): never => {
  throw new CodedError('no_space', 'the disk is full');
};

describe('a recovery that the store does not take', () => {
  it.each(['give back', 'go on'] as const)('ends with its error, and is tried again: %s', async (step) => {
    atAppend = full;
    await expect(log.recover('state', step, cause)).rejects.toMatchObject({ code: 'no_space' });
    expect(await told()).toEqual([]);
    expect(await log.recovery('state')).toMatchObject({ status: 'went back', known: 4, head: 2 });
    await log.recover('state', step, cause);
    expect(await told()).toHaveLength(1);
  });

  it('is not over when its record was not stored', async () => {
    const after = (others: number) => (): void => {
      atAppend = others > 1 ? after(others - 1) : full;
    };
    // Both batches are back by then.
    atAppend = after(2);
    await expect(log.recover('state', 'give back', cause)).rejects.toMatchObject({ code: 'no_space' });
    expect([...slots().keys()]).toEqual([1, 2, 3, 4]);
    expect(await told()).toEqual([]);
  });
});

describe('a recovery beside others', () => {
  it('goes on where another has given back the same batch', async () => {
    const copy: unknown[] = [];
    atAppend = (partition, _after, batch) => {
      copy.push(partition);
      slots().set(3, batch);
    };
    expect(await log.recover('state', 'give back', cause)).toMatchObject({
      status: 'given back',
      givenBack: [{ position: 3 }, { position: 4 }],
      lost: [],
    });
    expect(copy).toEqual(['state']);
    expect((await collect((await open(store)).state.history(0))).map(({ fact: one }) => one.data)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
      { n: 4 },
      expect.anything(),
    ]);
  });

  it('is refused where another has written something else, and is tried again event by event', async () => {
    atAppend = async () => add(await open(store), 'state', 'a-1', fact(30));
    await expect(log.recover('state', 'give back', cause)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'slot 3 of the state log was written by another meanwhile: try again',
    });
    expect(await told()).toEqual([]);
    expect(await log.recover('state', 'give back', cause)).toMatchObject({
      givenBack: [{ position: 4, stream: 'a-0' }],
      lost: [{ position: 3, stream: 'a-1' }],
    });
  });

  it('is recorded after that of another', async () => {
    const other = await open(store);
    atAppend = () => add(other, 'state', 'recovery-state', fact(0));
    await log.recover('state', 'go on', cause);
    expect(await told()).toEqual([{ n: 0 }, expect.objectContaining({ how: 'went on', lost: 2 })]);
  });

  it('brings back no event of the upkeep of the log', async () => {
    await log.recover('state', 'give back', cause);
    const before = new Map(slots());
    await add(log, 'state', 'heads-state', fact(0));
    await add(log, 'state', 'c-1', fact(9));
    for (const slot of slots().keys()) if (!before.has(slot)) slots().delete(slot);
    await add(await open(store), 'state', 'd-1', fact(1));
    expect(await log.recover('state', 'give back', cause)).toMatchObject({
      givenBack: [{ stream: 'c-1' }],
      lost: [{ stream: 'heads-state' }],
    });
  });

  it('changes nothing where nothing is missing', async () => {
    const other = await open(store);
    const before = await other.state.head();
    expect(await other.recover('state', 'give back', cause)).toEqual({
      ...{ partition: 'state', status: 'was whole', givenBack: [], lost: [], forgotten: 0 },
    });
    expect(await other.state.head()).toBe(before);
  });
});
