import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LinkNotice } from './link-wish.ts';
import { allSaid, linksWanted, planLinks } from './plan-links.ts';

const idOf = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const noticeOf = (count: number, links: LinkNotice['links'] = 2, spreadMs = 0): LinkNotice => ({
  links,
  spreadMs,
  proxies: Array.from({ length: count }, (_none, n) => ({ hostId: idOf(n), address: `10.0.0.${n}:3024` })),
});

/** What stands before the proxies: to which of them the n-th connection leads; undefined: it fails. */
type Balancer = (n: number) => number | undefined;

/**
 * An agent as `agents.ts` is one, without a network: it dials as it is told until it has enough, or ten
 * minutes are over. `reaches`: which proxies answer at their own address.
 */
function live(
  { count, links = 2 }: { readonly count: number; readonly links?: LinkNotice['links'] },
  balancer: Balancer,
  reaches: (n: number) => boolean,
  random: () => number,
) {
  const held: string[] = [];
  let [failed, repeated, attempts, atMs] = [0, 0, 0, 0];
  const dialledAt: number[] = [];
  while (atMs < 600_000) {
    const notice = held.length === 0 ? undefined : noticeOf(count, links);
    const plan = planLinks({ notice, held, failed, repeated, attempts }, random());
    if (plan.status === 'enough') return { held, atMs, dialledAt, enough: true };
    atMs += plan.afterMs;
    dialledAt.push(atMs);
    const n = plan.place.status === 'configured' ? balancer(attempts) : Number(plan.place.hostId.slice(-1));
    attempts++;
    if (n === undefined || (plan.place.status === 'proxy' && !reaches(n))) failed++;
    else if (held.includes(idOf(n))) repeated++;
    else {
      held.push(idOf(n));
      repeated = 0;
    }
  }
  return { held, atMs, dialledAt, enough: false };
}
const mostInAMinute = (times: readonly number[]): number =>
  Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 60_000).length));

/** Evenly spread, by a seed. */
function randomBy(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
const seeds = fc.nat(2 ** 31);

describe('planning links', () => {
  it('wants one before it knows anything, and no more than there are proxies', () => {
    expect(linksWanted(undefined)).toBe(1);
    expect(linksWanted(noticeOf(0))).toBe(1);
    expect(linksWanted(noticeOf(3, 2))).toBe(2);
    expect(linksWanted(noticeOf(1, 2))).toBe(1);
    expect(linksWanted(noticeOf(4, 'all'))).toBe(4);
  });
  it.each<readonly [string, (count: number, random: () => number) => Balancer]>([
    ['takes turns', (count) => (n) => n % count],
    ['takes turns with others who dial in between', (count, random) => () => Math.floor(random() * count)],
    ['takes turns in step with us', (count) => (n) => (2 * n) % count],
    ['always leads to the same', () => () => 0],
    ['fails half of the time', (count, random) => (n) => (random() < 0.5 ? undefined : n % count)],
  ])('hangs on as many as wanted where a balancer %s', (_what, balancerOf) => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 4 }), fc.boolean(), (seed, count, all) => {
        const random = randomBy(seed);
        const links = all ? 'all' : 2;
        const life = live({ count, links }, balancerOf(count, random), () => true, random);
        expect(life).toMatchObject({ enough: true });
        expect(life.held).toHaveLength(all ? count : 2);
        expect(life.atMs).toBeLessThan(300_000);
        expect(mostInAMinute(life.dialledAt)).toBeLessThanOrEqual(40);
      }),
      { numRuns: 50 },
    );
  });
  it('comes to others by their own addresses when what is configured is dead', () => {
    const life = live(
      { count: 3 },
      (n) => (n === 0 ? 0 : undefined),
      () => true,
      () => 0.5,
    );
    expect(life).toMatchObject({ enough: true });
  });
  it('dials neither in a loop nor ever less than every half minute where it leads to nothing', () => {
    const alone = live(
      { count: 2 },
      () => 0,
      () => false,
      () => 0.999,
    );
    expect(alone.enough).toBe(false);
    expect(mostInAMinute(alone.dialledAt)).toBeLessThanOrEqual(12);
    expect(alone.dialledAt.length).toBeGreaterThan(20);
    // Nobody can reach it: it tries more often.
    const dead = live(
      { count: 2 },
      () => undefined,
      () => false,
      () => 0,
    );
    expect(mostInAMinute(dead.dialledAt)).toBeLessThanOrEqual(36);
    expect(dead.dialledAt.length).toBeGreaterThan(200);
  });
  it('is spread as the proxies say, and half as long without any link', () => {
    const state = { notice: noticeOf(2, 2, 1000), failed: 0, repeated: 0, attempts: 5 };
    expect(planLinks({ ...state, held: [idOf(0)] }, 0.5)).toMatchObject({ afterMs: 500 });
    expect(planLinks({ ...state, held: [] }, 0.5)).toMatchObject({ afterMs: 250 });
  });
  it('names the newest of more than are wanted', () => {
    const state = { notice: noticeOf(4), failed: 0, repeated: 0, attempts: 0 };
    expect(planLinks({ ...state, held: [0, 1, 2, 3].map(idOf) }, 0)).toEqual({
      status: 'enough',
      surplus: [idOf(2), idOf(3)],
    });
  });
  it('dials no proxy that announces no address', () => {
    const notice = { ...noticeOf(2), proxies: [{ hostId: idOf(1), address: '' }] };
    for (const attempts of [0, 1, 2, 3])
      expect(planLinks({ notice, held: [], failed: 3, repeated: 3, attempts }, 0)).toMatchObject({
        place: { status: 'configured' },
      });
  });
});

describe('what several proxies say', () => {
  it('is nothing while none has said anything', () => {
    expect(allSaid([])).toBeUndefined();
  });

  it('is what any of them wants, of all proxies that any of them names', () => {
    const [few, many] = [noticeOf(1, 1, 4_000), noticeOf(3, 2)];
    for (const said of [
      [few, many],
      [many, few],
    ])
      expect(allSaid(said)).toEqual({ ...many, spreadMs: 4_000 });
    expect(allSaid([few, noticeOf(2, 'all')])?.links).toBe('all');
  });

  it('has the address that any of them knows, and the proxies that any of them does not reach', () => {
    const [zero] = noticeOf(1).proxies;
    const unknown = { ...noticeOf(1), proxies: [{ hostId: idOf(0), address: '', away: true as const }] };
    for (const said of [
      [unknown, noticeOf(1)],
      [noticeOf(1), unknown],
    ])
      expect(allSaid(said)?.proxies).toEqual([{ ...zero, away: true }]);
  });
});
