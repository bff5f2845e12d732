import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { silentLog } from '../base/log-sink.ts';
import { user } from '../domain/user.ts';
import { tokenStream, userStream } from '../domain/streams.ts';
import { load } from '../log/execute.ts';
import { memoryKeyring } from '../log/keyring.ts';
import { memoryDriver, memoryStore, type MemoryStore } from '../log/memory-driver.ts';
import { openLog } from '../log/open-log.ts';
import type { SlotDriver } from '../log/slot-driver.ts';
import { eventsInPart } from '../log/term-chapter.ts';
import { startsIn } from '../views/decided.ts';
import { startDecisionsAt } from '../log/starting-points.ts';
import { indexAudit } from './audit/index-audit.ts';
import { searchAudit } from './audit/search-audit.ts';
import { tokenHash } from '../pki/token.ts';
import { joinHost } from './host/join-host.ts';
import { createToken } from './token/create-token.ts';
import { addUser, adminCall, callOf, newKeyLine, openTestAuth, type TestAuth } from './testing.ts';

/*
 * What age costs, in counts and without a clock: the short form of `make bench-scale`. Each
 * figure is taken at n, 2n and 4n.
 */
const sizes = [100, 200, 400];

/** What was read of a store. */
interface Counts {
  reads: number;
  slots: number;
  blobBytes: number;
}

const world = fakeWorld();
const keyring = memoryKeyring(world);
const name = 'bot';
const stream = userStream(name);

async function open(store: MemoryStore): Promise<{ readonly auth: TestAuth; readonly counts: Counts }> {
  const counts: Counts = { reads: 0, slots: 0, blobBytes: 0 };
  const inner = memoryDriver(store);
  const driver: SlotDriver = {
    ...inner,
    read: async function* (...about) {
      // An auth server looks there by itself, whenever its turn comes.
      if (about[0] !== 'presence') counts.reads++;
      for await (const slot of inner.read(...about)) {
        counts.slots++;
        yield slot;
      }
    },
    snapshots: {
      ...inner.snapshots,
      get: async (key) => {
        const value = await inner.snapshots.get(key);
        counts.blobBytes += value?.length ?? 0;
        return value;
      },
    },
  };
  const log = await openLog({ driver, keyring, world, writer: 'auth', sink: silentLog });
  return { auth: await openTestAuth({ world, log, secondFactor: 'off' }), counts };
}

async function close({ auth }: { readonly auth: TestAuth }): Promise<void> {
  await auth.close();
  await auth.log.close();
}

const cause = () => ({ at: world.now(), actor: 'test', requestId: world.uuid() });

/** One user has logged in so often, each time in a slot of its own; with a snapshot. */
async function aged(logins: number): Promise<MemoryStore> {
  const store = memoryStore();
  const opened = await open(store);
  const { auth } = opened;
  await addUser(auth, name, 'correct horse battery');
  const fact = {
    type: 'user.logged_in',
    data: { method: 'local', otp: { status: 'not_required' }, addresses: { remote: 'r', local: 'l' } },
  };
  const from = await auth.log.state.revision(stream);
  for (let n = 0; n < logins; n++) {
    world.advance(1_000);
    await auth.log.state.append([{ stream, expected: from + n, facts: [fact] }], cause());
  }
  const head = await auth.log.state.head();
  await auth.deps.views.reached(head);
  await auth.deps.views.decided.reached(head);
  await auth.log.takeSnapshot('state', auth.deps.views.stored('state'), { trim: false }, cause());
  await close(opened);
  return store;
}

/** What `act` reads of a store of each size. */
async function countsOf(
  act: (opened: { readonly auth: TestAuth; readonly counts: Counts }) => Promise<void>,
): Promise<readonly Counts[]> {
  const found: Counts[] = [];
  for (const size of sizes) {
    const opened = await open(await aged(size));
    await act(opened);
    found.push({ ...opened.counts });
    await close(opened);
  }
  return found;
}

const eventsInSlot = 64;
/**
 * So many parts of the index are reported, a slot each minute, and indexed; in the first somebody is seen
 * once. Returns when that began.
 */
async function reported({ log, deps }: TestAuth, parts: number): Promise<string> {
  const began = world.now();
  const stream = 'audit-00000000-0000-4000-8000-0000000000b1';
  for (let n = 0; n < parts * eventsInPart; n += eventsInSlot) {
    const facts = Array.from({ length: eventsInSlot }, (_, i) => ({
      type: 'audit.recorded',
      data: {
        event: {
          ...{ event: 'exec', code: 'T3002I', uid: world.uuid(), time: world.now(), ei: n + i },
          user: n + i === 100 ? 'rare' : 'alice',
        },
      },
    }));
    await log.audit.append([{ stream, expected: n, facts }], cause());
    world.advance(60_000);
  }
  // What is in memory of this process is not read: these events are more.
  const indexing = indexAudit(deps);
  await indexing.run();
  await indexing.close();
  return began;
}

const reset = (counts: Counts): void => {
  Object.assign(counts, { reads: 0, slots: 0, blobBytes: 0 });
};

describe('what a log costs does not grow with its age', () => {
  it('when it is opened from a snapshot', async () => {
    const found = await countsOf(() => Promise.resolve());
    const [first, , last] = found;
    // What follows the snapshot, read from the signpost before it.
    for (const { slots } of found) expect(slots).toBeLessThanOrEqual(70);
    expect(found.map(({ reads }) => reads)).toEqual(found.map(() => first?.reads));
    // An entry for each sixteen slots of an old stream, up to a limit, in a manifest that each view reads.
    expect((last?.blobBytes ?? 0) - (first?.blobBytes ?? 0)).toBeLessThan(30 * (400 - 100));
  });

  it('when the first decision after that is about somebody who logged in all that time', async () => {
    const found = await countsOf(async ({ auth, counts }) => {
      const head = await auth.log.state.head();
      await auth.deps.views.decided.reached(head);
      startDecisionsAt(auth.log.state, startsIn(auth.deps.views));
      reset(counts);
      await load(auth.log.state, user, stream, head);
    });
    expect(found).toEqual(found.map(() => ({ reads: 0, slots: 0, blobBytes: 0 })));
  });

  it('when somebody asks for what happened last', async () => {
    const found = await countsOf(async ({ auth, counts }) => {
      reset(counts);
      const from = '2000-01-01T00:00:00.000Z';
      const wish = { from, to: '2100-01-01T00:00:00.000Z', types: [], user: '', limit: 5 };
      expect((await searchAudit(auth.deps, adminCall, wish)).events).toHaveLength(5);
    });
    const [first] = found;
    // A window of the log is read, however long it is.
    for (const { slots } of found) expect(slots).toBeLessThanOrEqual(520);
    expect(found.map(({ reads }) => reads)).toEqual(found.map(() => first?.reads));
  });

  it('when somebody asks for what happened at a time, or to somebody, long ago', async () => {
    const found: Counts[][] = [];
    for (const parts of [2, 4, 8]) {
      const store = memoryStore();
      const opened = await open(store);
      const from = await reported(opened.auth, parts);
      const of: Counts[] = [];
      const to = new Date(Date.parse(from) + 5 * 60_000).toISOString();
      for (const wish of [
        { from, to, user: '' },
        { from, to: world.now(), user: 'rare' },
      ]) {
        reset(opened.counts);
        const all = { ...wish, types: ['exec'], limit: 10_000 };
        expect((await searchAudit(opened.auth.deps, adminCall, all)).events.length).toBeGreaterThan(0);
        of.push({ ...opened.counts });
      }
      found.push(of);
      await close(opened);
    }
    const slotsInPart = eventsInPart / eventsInSlot;
    // One part, and twice a page of the store: to find the time, and where the part begins.
    for (const one of found)
      for (const { slots } of one) expect(slots).toBeLessThanOrEqual(slotsInPart + 2 * 64 + 20);
    // The index itself is read, two bytes for each of its terms.
    const bytes = found.map(([first]) => first?.blobBytes ?? 0);
    for (const [i, one] of bytes.entries()) expect(one).toBeLessThanOrEqual(1_000 * 2 ** i);
  });
});

describe('what joins with one token cost does not grow with their number', () => {
  it(
    'is one append each, none of them to the token, and no conflict, also side by side',
    { timeout: 60_000 },
    async () => {
      for (const n of sizes) {
        const { auth } = await open(memoryStore());
        const made = await createToken(auth.deps, adminCall, { roles: ['Node'], ttlSeconds: 1800 });
        const ofToken = tokenStream(tokenHash(made.token));
        const join = (i: number) => {
          const address = `10.9.${Math.floor(i / 100)}.${i % 100}:1000`;
          const hostId = `00000000-0000-4000-8000-0000000b${i.toString(16).padStart(4, '0')}`;
          return joinHost(auth.deps, callOf({ kind: 'anyone', address }), {
            ...{ hostId, nodename: `n${i}`, role: 'Node', token: made.token, publicKey: newKeyLine() },
            ...{ additionalPrincipals: [], sentAt: world.now() },
          });
        };
        const before = auth.log.stats().state;
        for (let begun = 0; begun < n; begun += 100)
          await Promise.all(Array.from({ length: 100 }, (_, i) => join(begun + i)));
        const after = auth.log.stats().state;
        expect([after.appends - before.appends, after.events - before.events]).toEqual([n, n]);
        expect([after.conflicts, await auth.log.state.revision(ofToken)]).toEqual([0, 1]);
        // Those that come together share commits.
        expect(after.batches - before.batches).toBeLessThan(n / 4);
        await close({ auth });
      }
    },
  );
});
