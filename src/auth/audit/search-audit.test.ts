import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { auditFact } from '../../domain/audit.ts';
import type { Deadline } from '../../base/deadline.ts';
import { noDeadline } from '../../base/deadline.ts';
import { hour, plusMs } from '../../base/time.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { fakeWorld } from '../../api/testing.ts';
import { addUser, adminCall, openTestAuth, type TestAuth } from '../testing.ts';
import { searchAudit } from './search-audit.ts';

const at = '2026-01-01T00:00:00.000Z';
const world = fakeWorld();
let auth: TestAuth;
/** Events of `audit` that searches have read. */
let read = 0;

beforeEach(async () => {
  const log = memoryLog({ world });
  auth = await openTestAuth({ world, log, secondFactor: 'off' });
  read = 0;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await auth.close();
  await auth.log.close();
});

async function store(...events: readonly object[]): Promise<void> {
  const stream = 'audit-00000000-0000-4000-8000-0000000000b1';
  const cause = { at: world.now(), actor: 'node', requestId: world.uuid() };
  const expected = await auth.log.audit.revision(stream);
  const facts = events.map((event) => ({ type: 'audit.recorded', data: { event } }));
  await auth.log.audit.append([{ stream, expected, facts }], cause);
}
const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const said = (n: number, more: object = {}): object => ({
  ...{ event: 'exec', code: 'T3002I', uid: idOf(n), time: at, ei: n, user: 'alice', login: 'root' },
  ...more,
});
const wish = {
  ...{
    from: '2000-01-01T00:00:00.000Z',
    to: '2100-01-01T00:00:00.000Z',
    types: ['exec'],
    user: '',
    limit: 3,
  },
};
function counted(): TestAuth['deps'] {
  const { audit } = auth.deps.log;
  const log: ClusterLog = {
    ...auth.deps.log,
    audit: {
      ...audit,
      history: async function* (...range) {
        for await (const event of audit.history(...range)) {
          read++;
          yield event;
        }
      },
    },
  };
  return { ...auth.deps, log };
}
const search = (deps: TestAuth['deps'], more: Partial<typeof wish> = {}, deadline: Deadline = noDeadline) =>
  searchAudit(deps, { ...adminCall, deadline }, { ...wish, ...more });

describe('a search of the audit', () => {
  it('gives the newest that are wanted, and says that there are more', async () => {
    await store(...Array.from({ length: 5 }, (_, n) => said(n)), said(9, { user: 'amy' }));
    const { events, truncated } = await search(auth.deps, { user: 'alice' });
    expect([events.map(({ ei }) => ei), truncated]).toEqual([[2, 3, 4], true]);
    const all = await search(auth.deps, { limit: 10 });
    expect([all.events.length, all.truncated]).toEqual([6, false]);
  });

  it('reads no more of an event than decides, until it is wanted', async () => {
    await store(said(1), ...Array.from({ length: 50 }, (_, n) => said(n, { user: 'amy' })), {
      ...said(2),
      time: 7,
    });
    const parsed = vi.spyOn(auditFact, 'safeParse');
    expect((await search(auth.deps, { user: 'alice' })).events).toHaveLength(1);
    expect(parsed).toHaveBeenCalledTimes(1);
  });

  it('reads from the end, and no more than it needs, when it asks for what happened until now', async () => {
    for (let n = 0; n < 30; n++) await store(...Array.from({ length: 200 }, (_, i) => said(200 * n + i)));
    const { events, truncated } = await search(counted());
    expect([events.map(({ ei }) => ei), truncated]).toEqual([[5_997, 5_998, 5_999], true]);
    expect(read).toBeLessThan(600);
    // Further back in larger steps, each event once.
    read = 0;
    const all = await search(counted(), { limit: 10_000 });
    expect([all.events.map(({ ei }) => ei), all.truncated]).toEqual([
      Array.from({ length: 6_000 }, (_, i) => i),
      false,
    ]);
    expect(read).toBeLessThan(6_200);
  });

  it('gives what came last, not what claims to be last, when there is more than it asks for', async () => {
    await store(said(1, { time: plusMs(at, 5 * hour) }), ...[2, 3, 4, 5].map((n) => said(n)));
    const { events, truncated } = await search(auth.deps);
    expect([events.map(({ ei }) => ei), truncated]).toEqual([[3, 4, 5], true]);
    const all = await search(auth.deps, { limit: 5 });
    expect([all.events.map(({ ei }) => ei), all.truncated]).toEqual([[2, 3, 4, 5, 1], false]);
  });

  it('of a time that is past gives what happened last, however late that came', async () => {
    const late = said(7, { time: plusMs(at, -2 * hour) });
    await store(said(1, { time: plusMs(at, -hour) }), said(2), said(3), late);
    world.advance(10 * hour);
    const past = await search(auth.deps, { to: plusMs(at, 1), limit: 2 });
    expect([past.events.map(({ ei }) => ei), past.truncated]).toEqual([[2, 3], true]);
    const hourBefore = await search(auth.deps, { from: plusMs(at, -3 * hour), to: at });
    expect([hourBefore.events.map(({ ei }) => ei), hourBefore.truncated]).toEqual([[7, 1], false]);
  });

  it('mixes what was reported with what the state says, by when it reached the log', async () => {
    const types: string[] = [];
    const ask = async (limit: number): Promise<readonly string[]> =>
      (await search(auth.deps, { types, limit })).events.map(({ event }) => event);
    await store(said(1));
    await addUser(auth, 'ann', 'correct horse battery');
    const before = await ask(100);
    expect(before.at(-1)).toBe('user.password_change');
    world.advance(1_000);
    await store({ ...said(2), time: world.now() });
    expect(await ask(1)).toEqual(['exec']);
    expect(await ask(100)).toEqual([...before, 'exec']);
  });

  it('ends when its caller does not wait any more', async () => {
    await store(...Array.from({ length: 100 }, (_, n) => said(n)));
    let asked = 0;
    const deadline = { begin: () => undefined, isOver: () => ++asked > 20 };
    await expect(search(counted(), {}, deadline)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('--from') as string,
    });
    expect(read).toBeLessThan(30);
  });

  it('is the only one of its auth server', async () => {
    await store(...Array.from({ length: 10 }, (_, n) => said(n)));
    const deps = counted();
    let under = 0;
    let most = 0;
    const { audit } = deps.log;
    const watched: TestAuth['deps'] = {
      ...deps,
      log: {
        ...deps.log,
        audit: {
          ...audit,
          history: async function* (...range) {
            most = Math.max(most, ++under);
            try {
              for await (const event of audit.history(...range)) {
                await new Promise(setImmediate);
                yield event;
              }
            } finally {
              under--;
            }
          },
        },
      },
    };
    const [first, second] = await Promise.all([search(watched), search(watched)]);
    expect(most).toBe(1);
    expect(first).toEqual(second);
  });
});
