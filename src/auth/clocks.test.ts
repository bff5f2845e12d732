import { expect, it, describe } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { memoryLog } from '../log/memory-log.ts';
import { announceSelf } from './announce-self.ts';
import { tellClocks } from './clocks.ts';
import { openTestAuth } from './testing.ts';

const otherId = '00000000-0000-4000-8000-00000000000b';

describe('an auth server whose clock is ahead', () => {
  it.each([
    [30_000, 0],
    [600_000, 1],
  ])('by %d ms is told of %d times by the one behind', async (aheadMs, times) => {
    const world = fakeWorld();
    const log = memoryLog({ world });
    const behind = await openTestAuth({ log, world });
    const fast = fakeWorld();
    fast.advance(Date.parse(world.now()) - Date.parse(fast.now()) + aheadMs);
    const ahead = await openTestAuth({ log, world: fast, hostId: otherId, nodename: 'auth-2' });
    const self = { hostId: otherId, nodename: 'auth-2', publicAddresses: [] };
    await announceSelf(ahead.deps, self, { host: '10.0.0.2', port: 3025 });
    await behind.deps.views.presence.reached(await log.presence.head());
    await behind.deps.views.fresh();
    const told = new Map<string, string>();
    tellClocks(behind.deps, told);
    tellClocks(behind.deps, told);
    const lines = behind.sink.lines.filter((line) => line.includes('the clocks of two auth servers differ'));
    expect(lines).toHaveLength(times);
    if (times > 0) expect(lines[0]).toMatch(/"nodename":"auth-2","aheadSeconds":600/);
    await ahead.close();
    await behind.close();
  });
});
