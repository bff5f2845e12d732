import { type AuthViews, openAuthViews } from '../../src/auth/auth-views.ts';
import { realWorld } from '../../src/base/world.ts';
import type { Write } from '../../src/log/event-log.ts';
import { sharedStore, type SharedStore, type Storage } from '../simulator/shared-store.ts';
import { type Figure, leastOf, took } from './bars.ts';
import { created, loggedIn } from './old-user.ts';

const users = 10_000;
const writesInSlot = 400;

/** The writes of one slot: the next users in turn log in, or are created. */
function writesFrom(done: number): Write[] {
  return Array.from({ length: writesInSlot }, (_, i) => {
    const [name, expected] = [`u${(done + i) % users}`, Math.floor((done + i) / users)];
    return { stream: `user-${name}`, expected, facts: [expected === 0 ? created(name) : loggedIn] };
  });
}

const cause = { at: realWorld.now(), actor: 'bench', requestId: realWorld.uuid() };
const clock = { now: () => realWorld.now(), monotonic: () => performance.now() };

/** A log of `events` logins of ten thousand users, opened with everything that an auth server folds. */
export async function measureOpening(
  events: number,
  storage: Storage | undefined,
): Promise<readonly Figure[]> {
  const store = sharedStore(storage);
  const open = async () => {
    const log = await store.log('bench');
    const views = await openAuthViews(log, clock);
    await views.fresh();
    return {
      ...{ log, views },
      close: async () => {
        views.close();
        await log.close();
      },
    };
  };
  try {
    const log = await store.log('bench');
    for (let done = 0; done < events; done += writesInSlot) await log.state.append(writesFrom(done), cause);
    await log.close();
    let first: Awaited<ReturnType<typeof open>> | undefined;
    const whole = await took(async () => {
      first = await open();
      await reachedAll(first.views);
    });
    // The snapshot is not a part of opening.
    await first?.log.takeSnapshot('state', first.views.stored('state'), { trim: false }, cause);
    await first?.close();
    let heap = 0;
    const quick = await leastOf(3, async () => {
      const again = await open();
      heap = process.memoryUsage().heapUsed;
      await again.close();
    });
    return [
      { what: 'without a snapshot, CPU', value: whole.cpuMs / 1e3, unit: 's' },
      { what: '... by the clock', value: whole.ms / 1e3, unit: 's', most: 15 },
      { what: '... longest pause', value: whole.pauseMs, unit: 'ms', most: 50 },
      { what: 'with a snapshot, CPU', value: quick.cpuMs / 1e3, unit: 's' },
      { what: '... by the clock', value: quick.ms / 1e3, unit: 's', most: 2 },
      { what: '... longest pause', value: quick.pauseMs, unit: 'ms', most: 50 },
      { what: '... heap in use then', value: heap / 2 ** 20, unit: 'MiB' },
      {
        what: 'the index in the snapshot',
        value: (await manifestBytes(store)) / 2 ** 20,
        unit: 'MiB',
        most: 100,
      },
    ];
  } finally {
    await store.close();
  }
}

const reachedAll = async (views: AuthViews): Promise<void> => {
  await views.decided.reached(await views.fresh());
};

async function manifestBytes(store: SharedStore): Promise<number> {
  const driver = await store.driver();
  const keys = (await driver.snapshots.list('state/')).filter((key) => key.endsWith('/manifest'));
  const bytes = (await driver.snapshots.get(keys.sort().at(-1) ?? ''))?.length ?? 0;
  await driver.close();
  return bytes;
}
