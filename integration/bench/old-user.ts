import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { user } from '../../src/domain/user.ts';
import { load } from '../../src/log/execute.ts';
import type { Fact } from '../../src/log/event.ts';
import { memoryKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { startDecisionsAt } from '../../src/log/starting-points.ts';
import { decidedView, startsIn } from '../../src/views/decided.ts';
import { hostsView } from '../../src/views/hosts.ts';
import { openViews } from '../../src/views/open-views.ts';

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

/** The first decision, after a start, about a user who has logged in that often, ten times in each slot. */
export async function printFirstDecisions(logins: number): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'old-user-'));
  let reads = 0;
  const counting = (driver: SlotDriver): SlotDriver => ({
    ...driver,
    read: (...about) => {
      reads++;
      return driver.read(...about);
    },
  });
  const keyring = memoryKeyring(realWorld);
  const cause = { at: realWorld.now(), actor: 'bench', requestId: realWorld.uuid() };
  const opened = async () => {
    const driver = counting(await openDirectoryDriver({ path }));
    return openLog({ driver, keyring, world: realWorld, writer: 'bench', sink: silentLog });
  };
  const folds = { state: { decided: decidedView, hosts: hostsView } };
  try {
    const log = await opened();
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
    const views = await openViews(log, folds);
    await views.reached(await log.state.head());
    await log.takeSnapshot('state', views.stored('state'), { trim: false }, cause);
    views.close();
    await log.close();

    const again = await opened();
    const after = await openViews(again, folds);
    const head = await again.state.head();
    await after.reached(head);
    for (const by of ['history', 'what is folded']) {
      if (by !== 'history') startDecisionsAt(again.state, startsIn(after));
      // Another decider object: nothing is remembered of it.
      const decider = by === 'history' ? { ...user } : user;
      reads = 0;
      const from = performance.now();
      await load(again.state, decider, stream, head);
      const ms = performance.now() - from;
      const what = `the first decision about a user with ${logins} logins, by ${by}`;
      console.log(`${what.padEnd(78)} ${ms.toFixed(1)} ms, ${reads} reads of the store`);
    }
    after.close();
    await again.close();
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
