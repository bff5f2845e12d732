import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { fakeWorld } from '../../api/testing.ts';
import { dataKeyIds } from '../../log/data-keys.ts';
import { memoryKeyring } from '../../log/keyring.ts';
import {
  copyOfStore,
  memoryDriver,
  memoryStore,
  type MemoryStore,
  putBackStore,
} from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import type { BlobStore } from '../../log/slot-driver.ts';
import { createUser } from '../user/create-user.ts';
import { deleteUser } from '../user/delete-user.ts';
import { destroySuperseded } from './destroy-superseded.ts';
import { resetUser } from '../user/reset-user.ts';
import { addUser, adminCall, openTestAuth, type TestAuth } from '../testing.ts';

let store: MemoryStore;
let refusing: boolean;
const keyring = memoryKeyring();
const opened: TestAuth[] = [];

/** An auth server on the shared store, which destroys no key while `refusing`: as if it had died before. */
async function open(hostId: string): Promise<TestAuth> {
  const driver = memoryDriver(store);
  const vault: BlobStore = {
    ...driver.vault,
    destroy: (key) =>
      refusing
        ? Promise.reject(new CodedError('unavailable', 'the store is away'))
        : driver.vault.destroy(key),
  };
  const world = fakeWorld();
  const log = await openLog({
    driver: { ...driver, vault },
    keyring,
    world,
    writer: hostId,
    sink: silentLog,
  });
  const auth = await openTestAuth({ log, world, hostId });
  opened.push(auth);
  return auth;
}

beforeEach(() => {
  store = memoryStore();
  refusing = false;
});
afterEach(async () => {
  for (const auth of opened.splice(0)) {
    await auth.close();
    await auth.log.close();
  }
});

const keys = (): Promise<string[]> => dataKeyIds(memoryDriver(store).vault);

describe('destroying superseded secrets', () => {
  it('is done by another auth server when the one that superseded them could not', async () => {
    const first = await open('00000000-0000-4000-8000-00000000000a');
    const lasting = await keys();
    await addUser(first, 'alice', 'correct horse battery');
    await addUser(first, 'bob', 'correct horse battery');
    const ofBoth = (await keys()).length;
    refusing = true;
    await deleteUser(first.deps, adminCall, { username: 'alice' });
    await resetUser(first.deps, adminCall, { username: 'bob', resetTtlSeconds: 60 });
    expect((await keys()).length).toBeGreaterThan(ofBoth);
    refusing = false;
    const other = await open('00000000-0000-4000-8000-00000000000b');
    const destroyer = destroySuperseded(other.deps);
    await destroyer.run();
    // Left: the authorities, the seed of bob's device, and that of his new link.
    expect(await keys()).toHaveLength(lasting.length + 2);
    await other.deps.views.fresh();
    expect(other.deps.views.superseded.state().doomed).toEqual([]);
    const revision = await other.log.state.revision('secrets-destroyed');
    await destroyer.run();
    expect(await other.log.state.revision('secrets-destroyed')).toBe(revision);
    await destroyer.close();
  });

  it('goes on until it is done, and says so meanwhile', async () => {
    const auth = await open('00000000-0000-4000-8000-00000000000a');
    await createUser(auth.deps, adminCall, {
      username: 'carol',
      roles: ['admin'],
      traits: { logins: ['root'] },
      inviteTtlSeconds: 60,
    });
    refusing = true;
    await deleteUser(auth.deps, adminCall, { username: 'carol' });
    const destroyer = destroySuperseded(auth.deps);
    await destroyer.run();
    expect(destroyer.trouble()).toContain('the store is away');
    const before = (await keys()).length;
    refusing = false;
    await destroyer.run();
    expect(destroyer.trouble()).toBeUndefined();
    expect(await keys()).toHaveLength(before - 1);
    await destroyer.close();
  });

  it('is done again after the store went back, and its vault with it', async () => {
    const auth = await open('00000000-0000-4000-8000-00000000000a');
    const destroyer = destroySuperseded(auth.deps);
    for (const name of ['alice', 'bob', 'carol']) await addUser(auth, name, 'correct horse battery');
    await deleteUser(auth.deps, adminCall, { username: 'alice' });
    await destroyer.run();
    const kept = copyOfStore(store);
    const before = await keys();
    await deleteUser(auth.deps, adminCall, { username: 'bob' });
    await destroyer.run();
    const after = await keys();
    expect(after.length).toBeLessThan(before.length);
    putBackStore(store, kept);
    expect(await keys()).toEqual(before);
    const cause = { at: auth.deps.world.now(), actor: 'admin', requestId: 'r' };
    expect(await auth.log.recover('state', 'give back', cause)).toMatchObject({ status: 'given back' });
    await expect.poll(() => auth.deps.views.failure(), { timeout: 10_000 }).toBeUndefined();
    await destroyer.run();
    expect(destroyer.trouble()).toBeUndefined();
    expect(await keys()).toEqual(after);
    await auth.deps.views.fresh();
    expect(auth.deps.views.superseded.state()).toMatchObject({ doomed: [], anew: undefined });
    await destroyer.close();
  });
});
