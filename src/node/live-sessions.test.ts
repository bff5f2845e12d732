import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { minute } from '../base/time.ts';
import type { LiveSession } from '../domain/live-sessions.ts';
import { LiveSessionList, noOthers } from './live-sessions.ts';

type Guest = NonNullable<LiveSession['guests']>[number];
const sid = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;

function setUp(elsewhere: readonly LiveSession[] = []) {
  const world = fakeWorld();
  const seen = { changes: 0, published: [] as (readonly LiveSession[])[], guests: [] as Guest[], idleMs: 0 };
  const list = new LiveSessionList({
    world,
    onChange: () => seen.changes++,
    others: {
      ...noOthers,
      publish: (sessions) => seen.published.push(sessions),
      sessions: () => elsewhere,
    },
  });
  const begin = (n: number) =>
    list.begin({
      ...{ sid: sid(n), user: 'alice', login: 'root', from: '10.0.0.1', startedAt: world.now() },
      idleMs: () => seen.idleMs,
      guests: () => seen.guests,
    });
  const known = () => list.report().known.map((one) => one.sid);
  return { world, seen, list, begin, known };
}

describe('who takes part in a session', () => {
  it('is told when they come and go, and of many the first', () => {
    const { list, begin, seen } = setUp();
    begin(1);
    expect(list.report().known[0]).not.toHaveProperty('guests');
    seen.guests = Array.from({ length: 9 }, (_, i) => ({ user: `u${i}`, mode: 'observer' }));
    list.changed();
    expect([seen.changes, list.report().known[0]?.guests?.length]).toEqual([2, 8]);
  });
  it('is asked of other processes of the node', () => {
    const elsewhere = {
      sid: sid(2),
      user: 'a',
      login: 'b',
      from: '::1',
      startedAt: '2026-01-01T00:00:00.000Z',
    };
    const { list, begin } = setUp([elsewhere]);
    begin(1);
    expect([1, 2, 3].map((n) => list.isElsewhere(sid(n)))).toEqual([false, true, false]);
  });
});

describe('the sessions of a node', () => {
  it('are listed while they run, and each change is told', () => {
    const { begin, known, seen } = setUp();
    const ends = [begin(1), begin(2)];
    expect(known().sort()).toEqual([sid(1), sid(2)]);
    expect(seen.changes).toBe(2);
    ends[0]?.();
    ends[0]?.();
    expect(known()).toEqual([sid(2)]);
    expect(seen.changes).toBe(3);
    expect(seen.published.map((some) => some.length)).toEqual([1, 2, 1]);
  });

  it('are idle since a moment that stays the same while nothing happens', () => {
    const { begin, list, world, seen } = setUp();
    begin(1);
    const idleSince = () => list.report().known[0]?.idleSince;
    seen.idleMs = 5 * minute - 1;
    expect(idleSince()).toBeUndefined();
    world.advance(10 * minute);
    seen.idleMs = 10 * minute;
    const since = idleSince();
    expect(since).toBe('2026-01-01T00:00:00.000Z');
    world.advance(minute + 3);
    seen.idleMs += minute + 1;
    expect(idleSince()).toBe(since);
    seen.idleMs = 0;
    expect(idleSince()).toBeUndefined();
  });

  it('are those of all processes of the node, each once', () => {
    const other = { user: 'bob', login: 'root', from: '10.0.0.2', startedAt: '2026-01-01T00:00:00.000Z' };
    const { begin, known } = setUp([
      { sid: sid(1), ...other },
      { sid: sid(2), ...other },
    ]);
    begin(1);
    expect(known().sort()).toEqual([sid(1), sid(2)]);
  });
});
