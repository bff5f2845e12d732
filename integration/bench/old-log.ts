import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { openAuthViews } from '../../src/auth/auth-views.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { Write } from '../../src/log/event-log.ts';
import { memoryKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
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

/**
 * A log of `events` logins of ten thousand users, opened with everything that an auth server folds.
 * @param measured runs a step, and says what it took.
 */
export async function printOpenings(
  events: number,
  measured: (what: string, act: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'old-log-'));
  const keyring = memoryKeyring(realWorld);
  const cause = { at: realWorld.now(), actor: 'bench', requestId: realWorld.uuid() };
  const clock = { now: () => realWorld.now(), monotonic: () => performance.now() };
  const opened = async () => {
    const driver = await openDirectoryDriver({ path });
    return openLog({ driver, keyring, world: realWorld, writer: 'bench', sink: silentLog });
  };
  const openAll = async () => {
    const log = await opened();
    const views = await openAuthViews(log, clock);
    await views.fresh();
    return { log, views };
  };
  try {
    const log = await opened();
    for (let done = 0; done < events; done += writesInSlot) await log.state.append(writesFrom(done), cause);
    await log.close();
    await measured(`a log of ${events} events and all folds of it, opened without a snapshot`, async () => {
      const first = await openAll();
      await first.views.decided.reached(await first.log.state.head());
      await first.log.takeSnapshot('state', first.views.stored('state'), { trim: false }, cause);
      first.views.close();
      await first.log.close();
    });
    await measured('... with a snapshot', async () => {
      const again = await openAll();
      again.views.close();
      await again.log.close();
    });
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
