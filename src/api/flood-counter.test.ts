import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hour, minute } from '../base/duration.ts';
import { type Flood, FloodCounter } from './flood-counter.ts';
import { fakeWorld, recordingSink } from './testing.ts';

function open() {
  const world = fakeWorld();
  const sink = recordingSink();
  const floods: Flood[] = [];
  const audit = {
    take: (flood: Flood): Promise<unknown> => {
      floods.push(flood);
      return Promise.resolve();
    },
  };
  const counter = new FloodCounter({
    about: 'auth',
    intervalMs: minute,
    emit: (flood) => audit.take(flood),
    world,
    sink,
  });
  /** Both clocks: the world's, and that of the timers. */
  const pass = async (ms: number): Promise<void> => {
    world.advance(ms);
    await vi.advanceTimersByTimeAsync(ms);
  };
  return { counter, floods, audit, sink, pass };
}
const total = (floods: readonly Flood[]): number => floods.reduce((sum, { count }) => sum + count, 0);

describe('the number of refused attempts', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => vi.useRealTimers());

  it('is reported when the interval is over, though nobody comes again, and once', async () => {
    const { counter, floods, pass } = open();
    for (let n = 0; n < 4_400; n++) counter.count(`10.0.${n >> 8}.${n & 255}`);
    await pass(minute - 1);
    expect(floods).toEqual([]);
    await pass(1);
    expect(floods).toMatchObject([{ count: 4_400, since: '2026-01-01T00:00:00.000Z' }]);
    await pass(hour);
    expect(floods).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('begins a new interval with the next one that is counted', async () => {
    const { counter, floods, pass } = open();
    counter.count('a');
    await pass(hour);
    counter.count('b');
    await pass(minute);
    expect(floods).toEqual([
      { count: 1, since: '2026-01-01T00:00:00.000Z', addresses: { a: 1 } },
      { count: 1, since: '2026-01-01T01:00:00.000Z', addresses: { b: 1 } },
    ]);
  });

  it('names the twenty addresses that most came from', async () => {
    const { counter, floods, pass } = open();
    for (let n = 1; n <= 50; n++) for (let i = 0; i < n; i++) counter.count(`10.0.0.${n}`);
    await pass(minute);
    const [flood] = floods;
    expect(flood?.count).toBe(1_275);
    expect(Object.entries(flood?.addresses ?? {})).toEqual(
      Array.from({ length: 20 }, (_, i) => [`10.0.0.${50 - i}`, 50 - i]),
    );
  });

  it('counts on in its total when there are more addresses than it tracks', async () => {
    const { counter, floods, pass } = open();
    for (let n = 0; n < 12_000; n++) counter.count(`a${n}`);
    for (let n = 0; n < 5; n++) counter.count('a0');
    await pass(minute);
    expect(floods).toMatchObject([{ count: 12_005, addresses: { a0: 6 } }]);
  });

  it('is reported at the end', async () => {
    const { counter, floods } = open();
    counter.count('a');
    await counter.close();
    expect(floods).toMatchObject([{ count: 1, addresses: { a: 1 } }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is kept, since its first, while the audit does not take it, and is reported an interval later', async () => {
    const { counter, floods, audit, sink, pass } = open();
    const { take } = audit;
    audit.take = () => Promise.reject(new Error('no room'));
    counter.count('a');
    await pass(minute);
    counter.count('b');
    await pass(minute);
    expect(sink.lines).toEqual([
      'warn the audit does not take the number of refused attempts yet {"about":"auth","count":1,"reason":"no room"}',
      'warn the audit does not take the number of refused attempts yet {"about":"auth","count":2,"reason":"no room"}',
    ]);
    audit.take = take;
    await pass(minute);
    expect(floods).toEqual([{ count: 2, since: '2026-01-01T00:00:00.000Z', addresses: { a: 1, b: 1 } }]);
  });

  it('is since the first of all, also when some came while the audit was asked', async () => {
    const { counter, floods, audit, pass } = open();
    const { take } = audit;
    const { promise, reject } = Promise.withResolvers();
    audit.take = () => promise;
    counter.count('a');
    await pass(minute);
    counter.count('b');
    reject(new Error('no room'));
    audit.take = take;
    await pass(minute);
    expect(floods).toEqual([{ count: 2, since: '2026-01-01T00:00:00.000Z', addresses: { a: 1, b: 1 } }]);
  });

  it('is in the log of the process when the audit never takes it, or it is closed', async () => {
    const { counter, audit, sink } = open();
    audit.take = () => Promise.reject(new Error('closed'));
    for (let n = 0; n < 3; n++) counter.count('a');
    await counter.close();
    counter.count('a');
    expect(sink.lines.filter((line) => line.startsWith('error'))).toEqual([
      'error the audit did not take the number of refused attempts {"about":"auth","count":3}',
      'error the audit did not take the number of refused attempts {"about":"auth","count":1}',
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('loses none, whatever the audit takes and when', async () => {
    const step = fc.oneof(
      fc.record({ what: fc.constant('count' as const), n: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ what: fc.constant('pass' as const), n: fc.integer({ min: 1, max: 3 * minute }) }),
      fc.record({ what: fc.constant('takes' as const), n: fc.integer({ min: 0, max: 1 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { counter, floods, audit, pass } = open();
        const { take } = audit;
        let counted = 0;
        for (const { what, n } of steps) {
          if (what === 'pass') await pass(n);
          else if (what === 'takes') audit.take = n === 1 ? take : () => Promise.reject(new Error('not now'));
          else for (let i = 0; i < n; i++) counter.count(`a${counted++ % 7}`);
        }
        audit.take = take;
        await counter.close();
        expect(total(floods)).toBe(counted);
        for (const { count, addresses } of floods)
          expect(Object.values(addresses).reduce((sum, n) => sum + n, 0)).toBe(count);
      }),
      { numRuns: 50 },
    );
  });
});
