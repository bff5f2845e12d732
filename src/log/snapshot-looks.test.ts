import { expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import type { ClusterLog } from './event-log.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';

const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:test', requestId: 'r1' };
const names = (count: number): string[] => Array.from({ length: count }, (_, n) => `view${n}.1`);

/** A log with two snapshots of so many views, and what is read of its manifests from then on. */
async function snapshotted(views: number) {
  const looks = { lists: 0, manifests: 0 };
  const inner = memoryDriver(memoryStore());
  const driver = {
    ...inner,
    snapshots: {
      ...inner.snapshots,
      get: (key: string) => {
        if (key.endsWith('/manifest')) looks.manifests++;
        return inner.snapshots.get(key);
      },
      list: (prefix: string) => {
        looks.lists++;
        return inner.snapshots.list(prefix);
      },
    },
  };
  const log = await openLog({
    ...{ driver, keyring: memoryKeyring(realWorld), world: realWorld, writer: 'w', sink: silentLog },
  });
  const take = async (state: string): Promise<void> => {
    const expected = await log.state.revision('talk-1');
    await log.state.append([{ stream: 'talk-1', expected, facts: [{ type: 't', data: {} }] }], cause);
    const position = await log.state.head();
    const all = names(views).map((name) => ({ name, position, state }));
    await log.takeSnapshot('state', all, { trim: false }, cause);
  };
  await take('old');
  await take('new');
  Object.assign(looks, { lists: 0, manifests: 0 });
  return { log, looks, take };
}

const statesOf = async (log: ClusterLog, views: number): Promise<unknown[]> =>
  (await Promise.all(names(views).map((name) => log.state.snapshot(name)))).map((one) => one?.state);

it.each([1, 7, 28])('%d views that open together look once at which snapshots there are', async (views) => {
  const { log, looks, take } = await snapshotted(views);
  expect(new Set(await statesOf(log, views))).toEqual(new Set(['new']));
  expect(looks).toEqual({ lists: 1, manifests: 1 });
  // Whoever comes later sees what was written since.
  await take('newest');
  expect(new Set(await statesOf(log, views))).toEqual(new Set(['newest']));
  await log.close();
});

it('looks at the older one for a view that the newest does not have', async () => {
  const { log, looks, take } = await snapshotted(3);
  const position = await log.state.head();
  await log.state.append([{ stream: 'talk-2', expected: 0, facts: [{ type: 't', data: {} }] }], cause);
  await log.takeSnapshot('state', [{ name: 'other.1', position, state: 'x' }], { trim: false }, cause);
  Object.assign(looks, { lists: 0, manifests: 0 });
  expect(await statesOf(log, 3)).toEqual(['new', 'new', 'new']);
  expect(looks.lists).toBe(1);
  await take('newest');
  expect(await log.state.snapshot('none.1')).toBeUndefined();
  await log.close();
});
