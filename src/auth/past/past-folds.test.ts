import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { type Deadline, noDeadline } from '../../base/deadline.ts';
import { adminRole } from '../../domain/preset-roles.ts';
import { roleStream } from '../../domain/streams.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { collect } from '../../log/testing.ts';
import { rolesView } from '../../views/roles.ts';
import { PastFolds } from './past-folds.ts';
import { pastProjections } from './past-states.ts';

const roles = 1_200;
let log: ClusterLog;
/** How many events were read from the log. */
let read = 0;
let counted: ConstructorParameters<typeof PastFolds>[0]['log'];

beforeAll(async () => {
  log = memoryLog({ world: fakeWorld() });
  const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' };
  for (let from = 0; from < roles; from += 200)
    await log.state.append(
      Array.from({ length: 200 }, (_, i) => {
        const name = `r${from + i + 1}`;
        return {
          stream: roleStream(name),
          expected: 0,
          facts: [{ type: 'role.created', data: { role: { ...adminRole, name } } }],
        };
      }),
      cause,
    );
});
beforeEach(() => {
  read = 0;
  counted = {
    holds: (position, id) => log.state.holds(position, id),
    snapshot: (name) => log.state.snapshot(name),
    milestone: (position) => log.state.milestone(position),
    history: async function* (after) {
      for await (const event of log.state.history(after)) {
        read++;
        yield event;
      }
    },
  };
});
afterAll(() => log.close());

const over: Deadline = { begin: () => undefined, isOver: () => true };
const countAt = async (folds: PastFolds, position: number, deadline = noDeadline): Promise<number> =>
  (await folds.at(position, deadline)).roles.known.size;

describe('the state of views at a position', () => {
  it('holds what was true then, whichever position was asked for before', async () => {
    const folds = new PastFolds({ log: counted, keepEvery: 100 });
    for (const position of [700, 0, 1, 1_200, 699, 700, 350])
      expect(await countAt(folds, position)).toBe(position);
  });

  it('is folded from the nearest one that is kept', async () => {
    const folds = new PastFolds({ log: counted, keepEvery: 100 });
    await countAt(folds, 1_000);
    read = 0;
    expect(await countAt(folds, 450)).toBe(450);
    expect(read).toBe(50);
  });

  it('is folded from the newest snapshot, unless that is later', async () => {
    const states = (await new PastFolds({ log: counted }).at(1_200, noDeadline)) as never;
    const views = Object.entries(pastProjections).map(([key, projection]) => ({
      name: projection.name,
      position: 1_200,
      state: projection.encode(states[key]),
    }));
    const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'auth', requestId: 'r' };
    await log.takeSnapshot('state', views, { trim: false }, cause);
    expect(await log.state.snapshot(rolesView.name)).toBeDefined();
    read = 0;
    expect(await countAt(new PastFolds({ log: counted, keepEvery: 100 }), 1_200)).toBe(roles);
    expect(read).toBe(0);
    expect(await countAt(new PastFolds({ log: counted, keepEvery: 100 }), 1_199)).toBe(roles - 1);
  });

  it('is folded from the nearest milestone, whose views may be at different positions', async () => {
    const of = (position: number) => new PastFolds({ log: counted }).at(position, noDeadline);
    const [at900, at890] = [await of(900), await of(890)];
    const states = Object.entries(pastProjections).map(([key, projection]) => ({
      name: projection.name,
      position: key === 'roles' ? 890 : 900,
      state: projection.encode((key === 'roles' ? at890.roles : at900[key as 'users']) as never),
    }));
    const milestone = (position: number) => Promise.resolve(position < 900 ? undefined : states);
    const folds = () => new PastFolds({ log: { ...counted, milestone }, keepEvery: 100 });
    read = 0;
    expect(await countAt(folds(), 1_000)).toBe(1_000);
    expect(read).toBeLessThan(120);
    expect(await countAt(folds(), 900)).toBe(900);
    expect(await countAt(folds(), 899)).toBe(899);
    // One of another release is of no use.
    states[0] = { ...(states[0] ?? expect.unreachable()), name: 'roles.999' };
    expect(await countAt(folds(), 1_000)).toBe(1_000);
  });

  it('that takes too long is given up, and the next caller goes on from there', async () => {
    const folds = new PastFolds({ log: counted });
    await expect(folds.at(1_200, over)).rejects.toMatchObject({ code: 'unavailable' });
    expect(read).toBe(200);
    expect(await countAt(folds, 1_200)).toBe(roles);
    expect(read).toBe(1_200);
  });

  it('lets others have the loop while it is folded', async () => {
    const events = await collect(log.state.history(0));
    // Nothing in it waits for the loop.
    const history = async function* () {
      yield* await Promise.resolve(events);
    };
    const folds = new PastFolds({ log: { ...counted, history } });
    const done = new AbortController();
    let turns = 0;
    const others = (async () => {
      for (; !done.signal.aborted; turns++) await turn();
    })();
    await countAt(folds, 1_200);
    done.abort();
    await others;
    // After each 500 events.
    expect(turns).toBeGreaterThanOrEqual(3);
  });

  it('is folded one at a time', async () => {
    const folds = new PastFolds({ log: counted });
    const [first, second] = await Promise.all([folds.at(600, noDeadline), folds.at(900, noDeadline)]);
    expect([first.roles.known.size, second.roles.known.size]).toEqual([600, 900]);
    expect(read).toBe(900);
  });

  it('begins again when the log has other events than those that were folded', async () => {
    const folds = new PastFolds({ log: { ...counted, holds: () => Promise.resolve(false) }, keepEvery: 100 });
    await countAt(folds, 300);
    read = 0;
    await countAt(folds, 300);
    expect(read).toBe(300);
  });
});
