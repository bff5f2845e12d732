import { openAuthViews } from '../../src/auth/auth-views.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { loginAttempts } from '../../src/domain/login-attempts.ts';
import { userStream } from '../../src/domain/streams.ts';
import { user } from '../../src/domain/user.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Fact } from '../../src/log/event.ts';
import { load } from '../../src/log/execute.ts';
import { memoryKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { startDecisionsAt } from '../../src/log/starting-points.ts';
import { startsIn } from '../../src/views/decided.ts';
import { attemptsStart } from '../../src/views/login-attempts.ts';
import { sharedStore, type Storage } from '../simulator/shared-store.ts';
import { type Figure, took } from './bars.ts';

const stream = 'user-bot';
const others = 'configuration-other';

export const created = (username: string): Fact => ({
  type: 'user.created',
  data: { username, roles: ['admin'], traits: {} },
});
export const loggedIn: Fact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'not_required' }, addresses: { remote: 'r', local: 'l' } },
};

/** What attempts to log in begin with, of somebody of whom nothing is known. */
export const begun: Fact = {
  type: 'attempts.begun',
  data: {
    ...{ era: { cleared: 0, forgotten: 0 }, otp: null, failures: [], lock: null },
    ...{ sourceLocks: [], knownSources: [] },
  },
};

/** The first decision, after a start, about a user who has logged in that often, ten times in each slot. */
export async function measureOldUser(logins: number): Promise<readonly Figure[]> {
  const store = countedStore(undefined);
  try {
    const log = await store.log();
    await log.state.append([{ stream, expected: 0, facts: [created('bot')] }], cause);
    // Each slot holds something of others besides.
    for (let n = 0; n < logins; n += 10) {
      const facts = Array.from({ length: 10 }, () => loggedIn);
      await log.state.append(
        [
          { stream, expected: n + 1, facts },
          { stream: others, expected: n / 10, facts: [{ type: 'configuration.noted', data: {} }] },
        ],
        cause,
      );
    }
    await snapshotted(log);
    const { views, log: again } = await opened(store);
    const head = await again.state.head();
    store.counts.reads = 0;
    const one = await took(() => load(again.state, user, stream, head));
    const reads = store.counts.reads;
    views.close();
    await again.close();
    return [
      { what: 'reads of the store', value: reads, unit: '', most: 1 },
      { what: 'CPU', value: one.cpuMs, unit: 'ms', most: 2 },
    ];
  } finally {
    await store.close();
  }
}

const asked = 200;
const usersInSlot = 100;

/** The first decision, after a start, about each of 200 of so many users, who have all logged in lately. */
export async function measureDecisions(
  users: number,
  storage: Storage | undefined,
): Promise<readonly Figure[]> {
  const store = countedStore(storage);
  const nameOf = (n: number): string => `u${n}`;
  try {
    const log = await store.log();
    for (let from = 0; from < users; from += usersInSlot) {
      const some = Array.from({ length: usersInSlot }, (_, i) => nameOf(from + i));
      const madeApart = some.map((name) => ({
        ...{
          stream: userStream(name),
          expected: 0,
          facts: [created(name), { type: 'user.attempts_apart', data: {} }],
        },
      }));
      await log.state.append(madeApart, cause);
      const attempts = some.map((name) => ({
        ...{ stream: userStream(name), expected: 0, facts: [begun, loggedIn, loggedIn] },
      }));
      await log.attempts.append(attempts, cause);
    }
    await snapshotted(log);
    const { views, log: again } = await opened(store);
    const [head, attemptsHead] = [await again.state.head(), await again.attempts.head()];
    const decide = async (n: number): Promise<void> => {
      const of = userStream(nameOf(n));
      const { state } = await load(again.state, user, of, head);
      if (state.status !== 'active') throw new Error('bug: the user is not there');
      await load(again.attempts, loginAttempts, of, attemptsHead);
    };
    // The first calls compile what the others run.
    for (let n = 0; n < 50; n++) await decide(n);
    store.counts.reads = 0;
    const step = Math.floor((users - 50) / asked);
    const all = await took(async () => {
      for (let n = 0; n < asked; n++) await decide(50 + n * step);
    });
    const reads = store.counts.reads;
    views.close();
    await again.close();
    return [
      { what: 'reads of the store for each', value: reads / asked, unit: '', most: 1 },
      { what: 'CPU for each', value: all.cpuMs / asked, unit: 'ms', most: 2 },
    ];
  } finally {
    await store.close();
  }
}

const cause = { at: realWorld.now(), actor: 'bench', requestId: realWorld.uuid() };
const clock = { now: () => realWorld.now(), monotonic: () => performance.now() };

/** A store of which is counted how often partitions that decide are read. */
function countedStore(storage: Storage | undefined) {
  const store = sharedStore(storage);
  const keyring = memoryKeyring(realWorld);
  const counts = { reads: 0 };
  return {
    counts,
    close: () => store.close(),
    log: async (): Promise<ClusterLog> => {
      const inner = await store.driver();
      const driver: SlotDriver = {
        ...inner,
        read: (...about) => {
          counts.reads++;
          return inner.read(...about);
        },
      };
      return openLog({ driver, keyring, world: realWorld, writer: 'bench', sink: silentLog });
    },
  };
}

async function snapshotted(log: ClusterLog): Promise<void> {
  const views = await openAuthViews(log, clock);
  await views.decided.reached(await views.fresh());
  await views.freshAttempts();
  for (const partition of ['state', 'attempts'] as const)
    await log.takeSnapshot(partition, views.stored(partition), { trim: partition === 'attempts' }, cause);
  views.close();
  await log.close();
}

/** As an auth server begins. */
async function opened(store: ReturnType<typeof countedStore>) {
  const log = await store.log();
  const views = await openAuthViews(log, clock);
  await views.decided.reached(await views.fresh());
  await views.freshAttempts();
  startDecisionsAt(log.state, startsIn(views));
  startDecisionsAt(log.attempts, attemptsStart(views.attempts));
  return { log, views };
}
