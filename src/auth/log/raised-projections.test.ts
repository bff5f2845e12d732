import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostPresence } from '../../api/announce-host.ts';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { minute, second } from '../../base/time.ts';
import { longestCarried } from '../../log/carried-states.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { memoryKeyring } from '../../log/keyring.ts';
import { memoryDriver, memoryStore } from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import { absenceView } from '../../views/absence.ts';
import { authoritiesView } from '../../views/authorities.ts';
import { clusterView } from '../../views/cluster.ts';
import { configurationView } from '../../views/configuration.ts';
import { decidedView } from '../../views/decided.ts';
import { hostsView } from '../../views/hosts.ts';
import { identitiesView } from '../../views/identities.ts';
import { supersededView } from '../../views/superseded.ts';
import { invitesView } from '../../views/invites.ts';
import { locksView } from '../../views/locks.ts';
import { presenceOf, presenceSnapshots } from '../../views/presence.ts';
import { recordingView } from '../../views/recording.ts';
import { requestsView } from '../../views/requests.ts';
import { remoteClustersView } from '../../views/remote-clusters.ts';
import { rolesView } from '../../views/roles.ts';
import { trustedClustersView } from '../../views/trusted-clusters.ts';
import { tokensView } from '../../views/tokens.ts';
import { usersView } from '../../views/users.ts';
import { presenceEveryMs } from './compaction.ts';
import { logPolicy } from './log-policy.ts';
import { addUser, openTestAuth, type TestAuth } from '../testing.ts';

const projections = [
  absenceView,
  authoritiesView,
  clusterView,
  configurationView,
  decidedView,
  hostsView,
  identitiesView,
  invitesView,
  locksView,
  presenceSnapshots,
  recordingView,
  remoteClustersView,
  requestsView,
  rolesView,
  supersededView,
  tokensView,
  trustedClustersView,
  usersView,
];
const names = projections.map(({ name }) => name);
const nextOf = (name: string): string => name.replace(/\d+$/, (n) => String(Number(n) + 1));
/** What runs from now on is the release that has other shapes of every state. */
const release = (which: 'this' | 'next'): void => {
  projections.forEach((projection, i) => {
    const name = names[i] ?? '';
    Object.assign(projection, { name: which === 'this' ? name : nextOf(name) });
  });
};

const world = fakeWorld();
let store: ReturnType<typeof memoryStore>;
let keyring: ReturnType<typeof memoryKeyring>;
let running: TestAuth | undefined;
beforeEach(() => {
  store = memoryStore();
  keyring = memoryKeyring(world);
});
afterEach(async () => {
  release('this');
  await stop();
});

async function start(): Promise<TestAuth> {
  const sink = recordingSink();
  const driver = memoryDriver(store);
  const log = await openLog({ driver, keyring, world, writer: 'auth', sink });
  running = await openTestAuth({ world, log });
  return running;
}
async function stop(): Promise<void> {
  await running?.close();
  await running?.log.close();
  running = undefined;
}

const host = { hostId: '00000000-0000-4000-8000-0000000000b1', role: 'Node' } as const;
async function compact({ deps, log }: TestAuth, partition: 'state' | 'presence'): Promise<void> {
  const cause = { at: world.now(), actor: 'auth', requestId: world.uuid() };
  await log.takeSnapshot(partition, deps.views.stored(partition), { trim: partition === 'presence' }, cause);
}
/** Five minutes, in which the host speaks. */
async function live(auth: TestAuth): Promise<void> {
  for (let n = 0; n < 70; n++) {
    world.advance((5 * minute) / 70);
    auth.deps.presence.renew(host, hostPresence.ttlSeconds);
    await auth.deps.presence.flush();
  }
  await auth.deps.views.presence.reached(await auth.log.presence.head());
  await compact(auth, 'presence');
}
const beginning = (log: ClusterLog): Promise<number> =>
  log.presence.positionBefore('0000-01-01T00:00:00.000Z');
const keptOfThis = async (log: ClusterLog): Promise<number> =>
  (await log.presence.snapshot('presence.1'))?.position ?? 0;
const seen = ({ deps }: TestAuth): string =>
  presenceOf(deps.views.presence.state(), host, deps.views.clock.monotonic()).status;

describe('a release that raises every projection', () => {
  it('knows all of them', async () => {
    const { deps } = await start();
    const stored = [...deps.views.stored('state'), ...deps.views.stored('presence')];
    expect(stored.map(({ name }) => name).sort()).toEqual(names);
  });

  it('starts on what the release before left, with the beginning of presence trimmed', async () => {
    const before = await start();
    await addUser(before, 'alice', 'a good password');
    for (let n = 0; n < 3; n++) await live(before);
    await compact(before, 'state');
    expect(await beginning(before.log)).toBeGreaterThan(0);
    await stop();
    release('next');
    const after = await start();
    expect(after.deps.views.users.state().known.size).toBe(1);
    expect([seen(after), after.deps.views.failure()]).toEqual(['alive', undefined]);
  });

  it('leaves the release before what it can go on from, though it compacts', async () => {
    const before = await start();
    for (let n = 0; n < 3; n++) await live(before);
    const known = await keptOfThis(before.log);
    await stop();
    release('next');
    const after = await start();
    for (let n = 0; n < 3; n++) await live(after);
    const kept = await after.log.presence.snapshot('presence.1');
    expect([kept?.position, kept?.carried]).toEqual([known, 3]);
    expect(logPolicy.snapshotFor('Proxy', 'presence', 'presence.1', kept?.state)).toEqual(kept?.state);
    await stop();
    release('this');
    const back = await start();
    expect([seen(back), back.deps.views.failure()]).toEqual(['alive', undefined]);
  });

  it('keeps it for an hour, then trims; who comes back later begins with what is there', async () => {
    const before = await start();
    await live(before);
    const known = await keptOfThis(before.log);
    await stop();
    release('next');
    const after = await start();
    for (let n = 0; n <= longestCarried; n++) await live(after);
    expect(await keptOfThis(after.log)).toBe(known);
    expect(await beginning(after.log)).toBeLessThanOrEqual(known);
    for (let n = 0; n < 2; n++) await live(after);
    expect(await keptOfThis(after.log)).toBe(0);
    expect(await beginning(after.log)).toBeGreaterThan(known);
    await stop();
    release('this');
    const back = await start();
    expect([seen(back), back.deps.views.failure()]).toEqual(['alive', undefined]);
  });
});

describe('a fold of presence that begins at the oldest event kept', () => {
  it('is whole, because more is kept than it takes every host to speak', () => {
    const again = presenceSnapshots.saidAgainWithinMs;
    expect(again).toBeGreaterThanOrEqual(hostPresence.everyMs);
    expect(presenceEveryMs).toBeGreaterThanOrEqual(2 * again);
    expect(hostPresence.ttlSeconds * second).toBeGreaterThan(again);
  });
});
