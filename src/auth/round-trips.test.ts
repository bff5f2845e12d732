import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';

import { silentLog } from '../base/log-sink.ts';
import { hour } from '../base/time.ts';
import { type Keyring, memoryKeyring } from '../log/keyring.ts';
import { addStoreKey, openStoreKeyring } from '../log/keyring-store.ts';
import { memoryDriver } from '../log/memory-driver.ts';
import { openLog } from '../log/open-log.ts';
import type { SlotDriver } from '../log/slot-driver.ts';
import { blameAccess } from './access/blame-access.ts';
import { diffAccess } from './access/diff-access.ts';
import { Chronicle } from './access/past-access-testing.ts';
import { acceptInvite } from './invite/accept-invite.ts';
import { createToken } from './token/create-token.ts';
import { createUser } from './user/create-user.ts';
import { deleteToken } from './token/delete-token.ts';
import { joinHost } from './host/join-host.ts';
import { resetUser } from './user/reset-user.ts';
import {
  addUser,
  adminCall,
  callOf,
  codeFor,
  hostCall,
  newKeyLine,
  openLink,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from './testing.ts';

/**
 * A store at a distance: what it is asked waits until the test lets a round trip pass, and all that was asked
 * meanwhile is answered together. How many had to pass is what an operation costs, whatever a round trip
 * takes.
 */
interface FarStore {
  readonly driver: SlotDriver;
  /** Round trips, one after the other, until `act` has its answer. */
  count<T>(act: () => Promise<T>): Promise<{ readonly trips: number; readonly result: T }>;
}

/** What a driver answers without asking its store. */
const atHand: ReadonlySet<string | symbol> = new Set(['hints', 'report', 'close']);

/** Every other question to it, or to the stores of blobs it has, waits for a `trip`. */
const distant = <T extends object>(near: T, trip: () => Promise<void>): T =>
  new Proxy(near, {
    get: (of, name) => {
      const value: unknown = Reflect.get(of, name);
      if (typeof value === 'object' && value !== null) return distant(value, trip);
      if (typeof value !== 'function' || atHand.has(name)) return value;
      const ask = value as (...args: readonly unknown[]) => unknown;
      if (name === 'read')
        return async function* (...args: readonly unknown[]) {
          await trip();
          yield* ask(...args) as AsyncIterable<unknown>;
        };
      return async (...args: readonly unknown[]) => {
        await trip();
        return ask(...args);
      };
    },
  });

function farStore(): FarStore {
  const store = { far: false, waiting: [] as (() => void)[] };
  const trip = (): Promise<void> =>
    store.far ? new Promise((resolve) => store.waiting.push(resolve)) : Promise.resolve();
  const letPass = (): void => {
    const answered = store.waiting;
    store.waiting = [];
    for (const answer of answered) answer();
  };
  /** All that is under way has come as far as it can without the store. */
  const settled = async (): Promise<void> => {
    for (let quiet = 0; quiet < 20; quiet++) await turn();
  };
  return {
    driver: distant(memoryDriver(), trip),
    count: async (act) => {
      await settled();
      store.far = true;
      const answered = new AbortController();
      const acting = act().finally(() => {
        answered.abort();
      });
      acting.catch(() => undefined);
      let trips = 0;
      for (;;) {
        await settled();
        if (answered.signal.aborted) break;
        if (store.waiting.length === 0) continue;
        trips++;
        letPass();
      }
      store.far = false;
      letPass();
      return { trips, result: await acting };
    },
  };
}

let auth: TestAuth;
let store: FarStore;
const open = async (keyringOf: (driver: SlotDriver) => Promise<Keyring>): Promise<void> => {
  store = farStore();
  const world = fakeWorld();
  const log = await openLog({
    driver: store.driver,
    keyring: await keyringOf(store.driver),
    world,
    writer: 'auth-1',
    sink: silentLog,
    // Nobody looks at the store but for the operation: looks of others cost it nothing, and would be counted.
    pollMs: hour,
  });
  auth = await openTestAuth({ log, world, maxLogLagMs: hour, storeSilenceMs: hour });
};
beforeEach(() => open(() => Promise.resolve(memoryKeyring())));
const close = async (): Promise<void> => {
  await auth.close();
  await auth.log.close();
};
afterEach(close);

const join = (n: number, token: string) =>
  joinHost(auth.deps, callOf({ kind: 'anyone', address: `192.0.2.${n}:1` }), {
    hostId: `00000000-0000-4000-8000-0000000001${n.toString(16).padStart(2, '0')}`,
    nodename: `n${n}`,
    role: 'Node',
    token,
    publicKey: newKeyLine(),
    additionalPrincipals: [],
    sentAt: auth.world.now(),
  });
const newUser = (username: string) =>
  createUser(auth.deps, adminCall, { username, roles: ['admin'], traits: {}, inviteTtlSeconds: 3600 });
const newJoinToken = (uses?: number) =>
  createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800, ...(uses && { uses }) });
const tripsOf = async (act: () => Promise<unknown>): Promise<number> => {
  return (await store.count(act)).trips;
};

describe('round trips to the store, one after the other', () => {
  it('a login takes 4, and so does one that is refused', async () => {
    const url = await addUser(auth, 'alice', 'correct horse');
    const login = (password: string) =>
      tryLogin(auth, { username: 'alice', password, otp: codeFor(url, auth.world.now()) });
    const refused = () => login('wrong').catch((e: unknown) => e);
    expect(await tripsOf(refused)).toBeLessThanOrEqual(4);
    expect(await tripsOf(() => login('correct horse'))).toBeLessThanOrEqual(4);
    const unknown = () => tryLogin(auth, { username: 'bob', password: 'x' }).catch((e: unknown) => e);
    expect(await tripsOf(unknown)).toBeLessThanOrEqual(4);
  });

  it('a machine that joins takes 4', async () => {
    const { token } = await newJoinToken();
    expect(await tripsOf(() => join(1, token))).toBeLessThanOrEqual(4);
  });

  it('accepting an invite takes 3, and so does showing it', async () => {
    const { inviteToken: token } = await newUser('alice');
    const shown = await store.count(() => openLink(auth.deps, token));
    expect(shown.trips).toBeLessThanOrEqual(3);
    const otp = codeFor(shown.result.otpUrl, auth.world.now());
    const accept = () =>
      acceptInvite(auth.deps, hostCall('Proxy'), {
        token,
        password: 'correct horse',
        otp,
        clientAddress: '192.0.2.7:1',
      });
    expect(await tripsOf(accept)).toBeLessThanOrEqual(3);
  });

  it('creating and resetting a user take 3', async () => {
    expect(await tripsOf(() => newUser('alice'))).toBeLessThanOrEqual(3);
    const reset = () => resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 });
    expect(await tripsOf(reset)).toBeLessThanOrEqual(3);
  });

  it('making and deleting a token take 3', async () => {
    const made = await store.count(() => newJoinToken());
    expect(made.trips).toBeLessThanOrEqual(3);
    const remove = () => deleteToken(auth.deps, adminCall, { token: made.result.tokenId });
    expect(await tripsOf(remove)).toBeLessThanOrEqual(3);
  });

  it('the changes of who may enter what take one, however many streams they are in', async () => {
    const was = await Chronicle.begin(auth);
    const [from = ''] = await was.course();
    const asked = { user: 'alice', login: 'root', node: 'node-2' };
    expect(await tripsOf(() => blameAccess(auth.deps, adminCall, asked))).toBe(1);
    const differing = await store.count(() => diffAccess(auth.deps, adminCall, { from }));
    expect(differing.result.rows).toHaveLength(1);
    expect(differing.trips).toBeLessThanOrEqual(3);
  });

  it('where the store has the keyring as well, sealing takes one more', async () => {
    await close();
    await open(async (driver) => {
      await addStoreKey(driver);
      return openStoreKeyring(driver);
    });
    expect(await tripsOf(() => newUser('alice'))).toBeLessThanOrEqual(4);
    await addStoreKey(store.driver);
    await newUser('bob');
    expect(await tripsOf(() => newUser('carol'))).toBeLessThanOrEqual(4);
  });

  it('fifty machines that join at once wait for the store together', async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, () => newJoinToken()));
    const all = () => Promise.all(tokens.map(({ token }, n) => join(n + 1, token)));
    expect(await tripsOf(all)).toBeLessThanOrEqual(6);
  });
});
