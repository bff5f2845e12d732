import { afterEach, beforeEach, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { hour } from '../../base/time.ts';
import type { UserFact } from '../../domain/user-fact.ts';
import { userStream } from '../../domain/streams.ts';
import { memoryKeyring } from '../../log/keyring.ts';
import { memoryDriver, memoryStore } from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { addUser, openTestAuth, type TestAuth, tryLogin } from '../testing.ts';

/* What somebody costs who has logged in for years, in an auth server that has just started. */

const world = fakeWorld();
const cause = { at: world.now(), actor: 'auth', requestId: world.uuid() };
const alice = { username: 'alice', password: 'correct horse' };
let running: TestAuth | undefined;
let store: ReturnType<typeof memoryStore>;
let keyring: ReturnType<typeof memoryKeyring>;
/** Slots of `state` that were read from the store. */
let slots = 0;

beforeEach(() => {
  store = memoryStore();
  keyring = memoryKeyring(world);
});
afterEach(() => stop());

function counting(driver: SlotDriver): SlotDriver {
  return {
    ...driver,
    read: async function* (partition, from) {
      for await (const one of driver.read(partition, from)) {
        if (partition === 'state') slots++;
        yield one;
      }
    },
  };
}
async function start(): Promise<TestAuth> {
  const log = await openLog({
    ...{ driver: counting(memoryDriver(store)), keyring, world, writer: 'auth', sink: recordingSink() },
  });
  running = await openTestAuth({ world, log, secondFactor: 'off' });
  return running;
}
async function stop(): Promise<void> {
  await running?.close();
  await running?.log.close();
  running = undefined;
}

const loggedIn: UserFact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'not_required' }, addresses: { remote: 'r', local: 'l' } },
};

/** Slots that the first login reads, after a start on a log in which alice has logged in that often. */
async function slotsOfLogin(logins: number): Promise<number> {
  const first = await start();
  const { log, deps } = first;
  await addUser(first, 'alice', 'correct horse');
  let expected = await log.state.revision(userStream('alice'));
  for (let n = 0; n < logins; n++)
    await log.state.append([{ stream: userStream('alice'), expected: expected++, facts: [loggedIn] }], cause);
  await deps.views.reached(await log.state.head());
  await deps.views.decided.reached(await log.state.head());
  await log.takeSnapshot('state', deps.views.stored('state'), { trim: false }, cause);
  await stop();
  const auth = await start();
  slots = 0;
  await tryLogin(auth, alice);
  return slots;
}

it('reads one slot at most, whatever the age', { timeout: 60_000 }, async () => {
  expect(await slotsOfLogin(50)).toBeLessThanOrEqual(1);
  await stop();
  store = memoryStore();
  expect(await slotsOfLogin(800)).toBeLessThanOrEqual(1);
});

it('decides by what was decided before the start', async () => {
  const auth = await start();
  await addUser(auth, 'alice', 'correct horse');
  const failed = tryLogin(auth, { ...alice, password: 'wrong' });
  await expect(failed).rejects.toMatchObject({ code: 'access_denied' });
  for (let n = 0; n < 4; n++) await tryLogin(auth, { ...alice, password: 'wrong' }).catch((e: unknown) => e);
  const { deps, log } = auth;
  await deps.views.decided.reached(await log.state.head());
  await log.takeSnapshot('state', deps.views.stored('state'), { trim: false }, cause);
  await stop();
  const again = await start();
  await expect(tryLogin(again, alice)).rejects.toMatchObject({ code: 'access_denied' });
  world.advance(hour);
  await tryLogin(again, alice);
});
