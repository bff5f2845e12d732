/* What logins leave in a store, at 200,000 a day of simulated time. */
import { realWorld, type World } from '../../src/base/world.ts';
import { userStream } from '../../src/domain/streams.ts';
import type { Fact, Partition } from '../../src/log/event.ts';
import { startServer } from '../simulator/simulated-hour.ts';
import { sharedStore, type SharedStore, type Storage } from '../simulator/shared-store.ts';
import type { Figure } from './bars.ts';
import { begun, created } from './old-user.ts';

const users = 2_000;
const together = 35;
/** As long as these take, and as often as compaction is looked after in a running server. */
const everyMs = 15_000;

const login = (step: number): Fact => ({
  type: 'user.logged_in',
  data: {
    method: 'local',
    otp: { status: 'matched', step },
    addresses: { remote: '192.0.2.7:51234', local: '192.0.2.1:3080' },
    certificate: { roles: ['admin'], logins: ['root'], ttlSeconds: 43_200, serial: String(step) },
  },
});

export async function measureLogins(
  logins: number,
  storage: Storage | undefined,
): Promise<readonly Figure[]> {
  const store = sharedStore(storage);
  let now = Date.now();
  const world: World = { ...realWorld, now: () => new Date(now).toISOString(), monotonic: () => now };
  const server = await startServer(store, world);
  const { log, deps, compaction } = server;
  const cause = () => ({ at: world.now(), actor: 'bench', requestId: world.uuid() });
  try {
    const names = Array.from({ length: users }, (_, n) => `u${n}`);
    for (let from = 0; from < users; from += 100)
      await log.state.append(
        names.slice(from, from + 100).map((name) => ({
          ...{ stream: userStream(name), expected: 0 },
          facts: [created(name), { type: 'user.attempts_apart', data: {} }],
        })),
        cause(),
      );
    const before = log.stats();
    const revisions = new Map<string, number>();
    let mostHeld = 0;
    for (let done = 0; done < logins; done += together) {
      const writes = Array.from({ length: Math.min(together, logins - done) }, (_, i) => {
        const name = names[(done + i) % users] ?? '';
        const expected = revisions.get(name) ?? 0;
        const facts = expected === 0 ? [begun, login(done + i)] : [login(done + i)];
        revisions.set(name, expected + facts.length);
        return { stream: userStream(name), expected, facts };
      });
      const position = await log.attempts.append(writes, cause());
      await deps.views.attempts.reached(position);
      await deps.attemptsTeller.tell();
      now += everyMs;
      await compaction.run();
      if (done % (together * 20) === 0) mostHeld = Math.max(mostHeld, await heldBytes(store, 'attempts'));
    }
    const after = log.stats();
    const told = after.audit.events - before.audit.events;
    if (told < logins) throw new Error(`bug: of ${logins} logins ${told} were told to the audit`);
    return [
      { what: 'appended to state', value: after.state.bytes - before.state.bytes, unit: 'B', most: 0 },
      { what: 'attempts in the store, at most', value: mostHeld / 1e6, unit: 'MB' },
      { what: 'audit, for each', value: (after.audit.bytes - before.audit.bytes) / logins, unit: 'B' },
    ];
  } finally {
    await server.close();
    await store.close();
  }
}

async function heldBytes(store: SharedStore, partition: Partition): Promise<number> {
  const driver = await store.driver();
  let bytes = 0;
  const { floor } = await driver.bounds(partition);
  for await (const { batch } of driver.read(partition, floor)) bytes += batch.length;
  for (const key of await driver.snapshots.list(`${partition}/`))
    bytes += (await driver.snapshots.get(key))?.length ?? 0;
  await driver.close();
  return bytes;
}
