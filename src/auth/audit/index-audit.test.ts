import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { hour, plusMs } from '../../base/time.ts';
import { CodedError } from '../../base/errors.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { eventsInPart } from '../../log/term-chapter.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { adminCall, openTestAuth, type TestAuth } from '../testing.ts';
import { indexAudit } from './index-audit.ts';
import { searchAudit } from './search-audit.ts';

const world = fakeWorld();
let start: string;
let auth: TestAuth;
/** Events of `audit` that were read. */
let read = 0;

beforeEach(async () => {
  const log = memoryLog({ world });
  auth = await openTestAuth({ world, log, secondFactor: 'off' });
  read = 0;
  start = world.now();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
/** Three parts of the index, ten minutes between two appends of 512; with what is said at these numbers. */
async function store(special: Readonly<Record<number, object>>): Promise<void> {
  const stream = 'audit-00000000-0000-4000-8000-0000000000b1';
  for (let n = 0; n < 3 * eventsInPart; n += 512) {
    world.advance(hour / 6);
    const facts = Array.from({ length: 512 }, (_, i) => ({
      type: 'audit.recorded',
      data: {
        event: {
          ...{ event: 'exec', code: 'T3002I', uid: idOf(n + i), time: world.now(), ei: n + i },
          ...{ user: 'alice', server_id: idOf(1), server_hostname: 'node-1' },
          ...special[n + i],
        },
      },
    }));
    const expected = await auth.log.audit.revision(stream);
    const cause = { at: world.now(), actor: 'node', requestId: world.uuid() };
    await auth.log.audit.append([{ stream, expected, facts }], cause);
  }
}

async function index(log: ClusterLog = auth.deps.log): Promise<string | undefined> {
  const indexing = indexAudit({ ...auth.deps, log });
  await indexing.run();
  await indexing.close();
  return indexing.trouble();
}

async function found(wish: object): Promise<readonly (number | undefined)[]> {
  const { audit } = auth.deps.log;
  const counting: ClusterLog = {
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
  read = 0;
  const input = { from: plusMs(start, -hour), to: plusMs(start, 1_000 * hour), types: ['exec'], user: '' };
  const { events } = await searchAudit({ ...auth.deps, log: counting }, adminCall, {
    ...{ ...input, limit: 10 },
    ...wish,
  });
  return events.map(({ ei }) => ei);
}

describe('the index of the audit', () => {
  const [first, second] = [100, 2 * eventsInPart + 7];

  it('is kept by an auth server, and spares searches what they do not want', async () => {
    await store({ [first]: { user: 'rare' }, [second]: { user: 'rare', server_hostname: 'node-2' } });
    expect(await found({ user: 'rare' })).toEqual([first, second]);
    expect(read).toBe(3 * eventsInPart);
    expect(await index()).toBeUndefined();
    expect(await found({ user: 'rare' })).toEqual([first, second]);
    expect(read).toBe(2 * eventsInPart);
    expect(await found({ node: 'node-2' })).toEqual([second]);
    expect(read).toBe(eventsInPart);
    expect(await found({ user: 'nobody' })).toEqual([]);
    expect(read).toBe(0);
  });

  it('finds what is past among what was reported then and later, and reads nothing else', async () => {
    // A machine was cut off for half an hour.
    await store({ [second]: { time: plusMs(start, 0.75 * hour), user: 'late' } });
    await index();
    const wish = { from: plusMs(start, hour / 2), to: plusMs(start, 0.9 * hour), user: 'late' };
    expect(await found(wish)).toEqual([second]);
    expect(read).toBe(eventsInPart);
    const then = await found({ ...wish, user: '', limit: 10_000 });
    expect([then.includes(second), then.length]).toEqual([true, 3 * 512 + 1]);
    expect(read).toBe(2 * eventsInPart);
  });

  it('is not looked for where nothing can be added, and not kept while the store is away', async () => {
    await store({});
    let asked = 0;
    let away = true;
    const { audit } = auth.deps.log;
    const log: ClusterLog = {
      ...auth.deps.log,
      audit: {
        ...audit,
        indexTerms: (terms) => {
          asked++;
          if (away) throw new CodedError('unavailable', 'the store is away');
          return audit.indexTerms(terms);
        },
      },
    };
    const indexing = indexAudit({ ...auth.deps, log });
    await indexing.run();
    expect(indexing.trouble()).toBe('the index of the audit is behind: the store is away');
    away = false;
    for (let n = 0; n < 3; n++) await indexing.run();
    expect([asked, indexing.trouble()]).toEqual([2, undefined]);
    await indexing.close();
  });
});
