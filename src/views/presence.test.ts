import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute, plusMs, second } from '../base/time.ts';
import type { LiveSessions } from '../domain/live-sessions.ts';
import type { PresenceFact } from '../domain/presence.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { aliveUntil, hostNow, presenceOf, type PresenceState, presenceViewBy, seenOf } from './presence.ts';
import { recordedAt } from './testing.ts';
import type { Projection } from './view.ts';

const at = '2026-01-01T12:00:00.000Z';
const hostOf = (n: number): { hostId: string; role: 'Node' } => ({
  hostId: `00000000-0000-4000-8000-00000000000${n}`,
  role: 'Node',
});

/** A reader whose own clock is wrong by `skewMs`. True time moves when a test moves it. */
class Reader {
  ms = 0;
  skewMs: number;
  #position = 0;
  readonly projection: Projection<PresenceState>;
  state: PresenceState;

  constructor(skewMs = 0, stored?: unknown) {
    this.skewMs = skewMs;
    this.projection = presenceViewBy(this.clock);
    this.state = stored === undefined ? this.projection.initial : this.projection.decode(stored);
  }

  get clock(): { now: () => string; monotonic: () => number } {
    return { now: () => plusMs(at, this.ms + this.skewMs), monotonic: () => this.ms };
  }

  /** An auth server whose clock is ahead by `skewMs` tells of these hosts now. */
  hear(
    hosts: number[],
    {
      skewMs = 0,
      ttlSeconds = 600,
      ...said
    }: {
      skewMs?: number;
      ttlSeconds?: number;
      adopted?: Adopted;
      proxies?: string[];
      leaves?: string[];
      sessions?: LiveSessions;
    } = {},
  ): void {
    const seenAt = plusMs(at, this.ms + skewMs);
    const fact: PresenceFact = {
      type: 'hosts.renewed',
      data: { hosts: hosts.map((n) => ({ ...hostOf(n), seenAt, ttlSeconds, ...said })) },
    };
    this.state = this.projection.apply(this.state, recordedAt(++this.#position, 'presence-x', fact, seenAt));
  }

  status = (n: number): string => presenceOf(this.state, hostOf(n), this.ms).status;

  stored = (): unknown => JSON.parse(JSON.stringify(this.projection.encode(this.state)));
}

describe('presence', () => {
  it('lasts for its time by the clock of the reader, and says when a host was last heard of', () => {
    const reader = new Reader(-5 * hour);
    reader.hear([1], { skewMs: 3 * hour, ttlSeconds: 60 });
    const lastSeenAt = plusMs(at, 3 * hour);
    reader.ms = 60 * second - 1;
    expect(presenceOf(reader.state, hostOf(1), reader.ms)).toEqual({ status: 'alive', lastSeenAt });
    expect(aliveUntil(reader.state, hostOf(1), reader.clock)).toBe(plusMs(at, 60 * second - 5 * hour));
    reader.ms = 60 * second;
    expect(presenceOf(reader.state, hostOf(1), reader.ms)).toEqual({ status: 'gone', lastSeenAt });
    expect(aliveUntil(reader.state, hostOf(1), reader.clock)).toBeUndefined();
    expect(presenceOf(reader.state, { ...hostOf(1), role: 'Proxy' }, 0)).toEqual({ status: 'never_seen' });
  });
  it('goes by the last renewal on the log, whatever the clocks of those who wrote say', () => {
    const reader = new Reader();
    reader.hear([1], { skewMs: 2 * hour });
    reader.ms = minute;
    reader.hear([1]);
    reader.ms = 10 * minute + 59 * second;
    expect(reader.status(1)).toBe('alive');
    reader.ms = 11 * minute;
    expect(reader.status(1)).toBe('gone');
  });
  it('ends at once when the host says goodbye', () => {
    const reader = new Reader();
    reader.hear([1]);
    reader.hear([1], { ttlSeconds: 0 });
    expect(reader.status(1)).toBe('gone');
  });
  it('is forgotten a day after it ended, so that the fold does not grow with every machine there ever was', () => {
    const reader = new Reader();
    reader.hear([1]);
    for (let n = 0; n < 64; n++) reader.hear([2], { skewMs: 48 * hour });
    expect(reader.state.size).toBe(2);
    reader.ms = 24 * hour;
    for (let n = 0; n < 64; n++) reader.hear([2]);
    expect(reader.state.size).toBe(2);
    reader.ms = 24 * hour + 10 * minute + 1;
    for (let n = 0; n < 64; n++) reader.hear([2]);
    expect([reader.state.size, reader.status(1)]).toEqual([1, 'never_seen']);
  });

  it('has what each host last reported of the rotations, also through a snapshot', () => {
    const reader = new Reader();
    reader.hear([1], { adopted: ['aaaa1111:init', ''] });
    reader.hear([1], { adopted: ['aaaa1111:update_clients', ''] });
    reader.hear([2]);
    const adopted = [1, 2].map((n) => seenOf(reader.state, hostOf(n))?.adopted);
    expect(adopted).toEqual([['aaaa1111:update_clients', ''], undefined]);
    const after = new Reader(0, reader.stored());
    expect([1, 2].map((n) => seenOf(after.state, hostOf(n))?.adopted)).toEqual(adopted);
  });
  it('says on which proxies a host hangs, also through a snapshot, and of no host that is reached at an address', () => {
    const reader = new Reader();
    reader.hear([1, 2], { proxies: ['p1', 'p2'] });
    reader.hear([1], { proxies: ['p3'] });
    reader.hear([3]);
    const info = {
      ...{ nodename: 'n', publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.5.0' },
      reachability: { status: 'tunnel', proxies: [] },
    } as const;
    const again = new Reader(0, JSON.parse(JSON.stringify(reader.projection.encode(reader.state))));
    for (const { state } of [reader, again]) {
      const hangs = (n: number) => hostNow(state, { ...info, ...hostOf(n) }).reachability;
      expect(hangs(1)).toEqual({ status: 'tunnel', proxies: ['p3'] });
      expect(hangs(2)).toEqual({ status: 'tunnel', proxies: ['p1', 'p2'] });
      expect(hangs(3)).toEqual({ status: 'tunnel', proxies: [] });
      const direct = { ...info, ...hostOf(1), reachability: { status: 'direct', address: 'a:1' } } as const;
      expect(hostNow(state, direct)).toBe(direct);
    }
  });
  it('hears a host whose report of the rotations has a form that it does not know', () => {
    const reader = new Reader();
    for (const adopted of [['a'], 'a', ['x'.repeat(33), ''], null])
      reader.hear([1], { adopted: adopted as unknown as Adopted });
    expect(reader.status(1)).toBe('alive');
    expect(seenOf(reader.state, hostOf(1))).not.toHaveProperty('adopted');
  });

  describe('that comes from a snapshot', () => {
    const before = new Reader();
    before.hear([1]);
    before.ms = 11 * minute;
    before.hear([2]);
    const sizes = (reader: Reader): string[] => [1, 2].map((n) => reader.status(n));
    it('is as old as its moments say', () => {
      expect(sizes(new Reader(12 * minute, before.stored()))).toEqual(['gone', 'alive']);
    });
    it('makes nobody look older when the clock of the reader is ahead, or that of one who wrote', () => {
      expect(sizes(new Reader(300 * hour, before.stored()))).toEqual(['gone', 'alive']);
      const ahead = new Reader();
      ahead.hear([1, 2]);
      ahead.hear([3], { skewMs: 15 * minute });
      expect(sizes(new Reader(minute, ahead.stored()))).toEqual(['alive', 'alive']);
    });
    it('lasts at most for its time when the clock of the reader is behind', () => {
      const reader = new Reader(-50 * hour, before.stored());
      expect(sizes(reader)).toEqual(['alive', 'alive']);
      reader.ms = 10 * minute;
      expect(sizes(reader)).toEqual(['gone', 'gone']);
    });
    it('is not forgotten before those who live have been heard of', () => {
      const ahead = new Reader();
      ahead.hear([1]);
      ahead.hear([3], { skewMs: 300 * hour });
      const reader = new Reader(300 * hour, ahead.stored());
      for (let n = 0; n < 64; n++) reader.hear([3]);
      expect(reader.state.size).toBe(2);
      reader.ms = 2 * hour;
      for (let n = 0; n < 64; n++) reader.hear([3]);
      expect(reader.state.size).toBe(1);
    });
    it('can be read by the release before, and what that stored can be read', () => {
      expect(before.stored()).toEqual([
        [`${hostOf(1).hostId}/Node`, { lastSeenAt: at, until: plusMs(at, 10 * minute) }],
        [`${hostOf(2).hostId}/Node`, { lastSeenAt: plusMs(at, 11 * minute), until: plusMs(at, 21 * minute) }],
      ]);
    });
  });

  it('is right for every host, however the clocks of readers and writers move', () => {
    const skewMs = fc.integer({ min: -400 * hour, max: 400 * hour });
    const step = fc.record({
      afterMs: fc.integer({ min: 0, max: 5 * minute }),
      host: fc.integer({ min: 1, max: 4 }),
      writer: skewMs,
      reader: skewMs,
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const reader = new Reader();
        const heard = new Map<number, number>();
        for (const { afterMs, host, writer, reader: own } of steps) {
          reader.ms += afterMs;
          reader.skewMs = own;
          reader.hear([host], { skewMs: writer });
          heard.set(host, reader.ms);
          expect(reader.state.newestHeardMs).toBe(reader.ms);
          for (const [one, ms] of heard)
            expect(reader.status(one)).toBe(reader.ms - ms < 10 * minute ? 'alive' : 'gone');
        }
      }),
    );
  });
});

describe('the clusters that hang on a proxy', () => {
  const leaves = (reader: Reader): unknown => {
    const { leaves: now, leavesBefore: before } = seenOf(reader.state, hostOf(1)) ?? {};
    return [now, before];
  };

  it('are those of its last report, and those before are remembered with when that was', () => {
    const reader = new Reader();
    reader.hear([1], { leaves: ['a', 'b'] });
    expect(leaves(reader)).toEqual([['a', 'b'], undefined]);
    reader.ms += minute;
    const later = plusMs(at, minute);
    reader.hear([1], { leaves: ['b'] });
    expect(leaves(reader)).toEqual([['b'], { a: at }]);
    reader.hear([1]);
    expect(leaves(reader)).toEqual([undefined, { a: at, b: later }]);
    reader.hear([1], { leaves: ['a'] });
    expect(leaves(reader)).toEqual([['a'], { b: later }]);
    const next = new Reader(0, JSON.parse(JSON.stringify(reader.projection.encode(reader.state))));
    expect(leaves(next)).toEqual(leaves(reader));
  });

  it('are remembered up to a number, and the longest gone are forgotten first', () => {
    const reader = new Reader();
    for (let i = 0; i < 300; i++) {
      reader.ms += minute;
      reader.hear([1], { leaves: [`leaf${i}`] });
    }
    const before = seenOf(reader.state, hostOf(1))?.leavesBefore ?? {};
    expect(Object.keys(before)).toHaveLength(256);
    expect([Object.hasOwn(before, 'leaf42'), Object.hasOwn(before, 'leaf43')]).toEqual([false, true]);
  });
});

describe('the sessions of a host', () => {
  const sessions = (n: number): LiveSessions => ({
    known: [
      {
        ...{ sid: `00000000-0000-4000-8000-00000000000${n}`, user: 'alice', login: 'root', from: '10.0.0.1' },
        startedAt: at,
      },
    ],
  });

  it('are those that it told of last, also of a reader that begins with a snapshot', () => {
    const reader = new Reader();
    reader.hear([1], { sessions: sessions(1) });
    reader.hear([1]);
    expect(seenOf(reader.state, hostOf(1))?.sessions).toEqual(sessions(1));
    reader.hear([1], { sessions: sessions(2) });
    const next = new Reader(0, reader.projection.encode(reader.state));
    expect(seenOf(next.state, hostOf(1))?.sessions).toEqual(sessions(2));
    next.hear([1]);
    expect(seenOf(next.state, hostOf(1))?.sessions).toEqual(sessions(2));
    next.hear([1], { sessions: { known: [] } });
    expect(seenOf(next.state, hostOf(1))?.sessions).toEqual({ known: [] });
  });
});
