import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HandshakeLine, type HandshakePlaces } from './handshake-line.ts';

interface Client {
  readonly name: string;
}
const client = (name: string): Client => ({ name });
const places: HandshakePlaces = { underWay: 2, waiting: 4, waitMs: 1_000 };
const lineOf = (some: Partial<HandshakePlaces> = {}) => new HandshakeLine<Client>({ ...places, ...some });

describe('a line of handshakes', () => {
  it('lets so many begin at once, and the next one when one has ended', () => {
    const line = lineOf();
    const [a, b, c] = [client('a'), client('b'), client('c')];
    for (const one of [a, b, c]) expect(line.enter(one, 'n')).toBeUndefined();
    expect([line.next(0), line.next(0), line.next(0)]).toEqual([a, b, undefined]);
    expect([line.waiting, line.underWay]).toEqual([1, 2]);
    line.leave(a);
    expect(line.next(0)).toBe(c);
    line.leave(b);
    line.leave(c);
    line.leave(c);
    expect([line.waiting, line.underWay]).toEqual([0, 0]);
  });

  it('lets another one begin in place of one that is slow, and counts that one no second time', () => {
    const line = lineOf({ underWay: 1 });
    const [a, b, c] = [client('a'), client('b'), client('c')];
    for (const one of [a, b, c]) line.enter(one, 'n');
    expect(line.next(0)).toBe(a);
    line.givePlaceBack(a);
    line.givePlaceBack(a);
    expect([line.next(0), line.next(0)]).toEqual([b, undefined]);
    line.leave(a);
    expect(line.next(0)).toBeUndefined();
    line.leave(b);
    expect(line.next(0)).toBe(c);
  });

  it('puts those last who have begun much and ended nothing, however many they bring', () => {
    const line = lineOf({ underWay: 3, waiting: 100 });
    const strangers = Array.from({ length: 6 }, (_, n) => client(`stranger ${n}`));
    for (const one of strangers) line.enter(one, 'far');
    for (let n = 0; n < 3; n++) {
      const one = line.next(0);
      if (one !== undefined) line.givePlaceBack(one);
    }
    const nodes = Array.from({ length: 3 }, (_, n) => client(`node ${n}`));
    for (const one of nodes) line.enter(one, 'near');
    expect([line.next(0), line.next(0), line.next(0)]).toEqual(nodes);
  });

  it('turns the newest away of those from whom most wait', () => {
    const line = lineOf();
    const strangers = [1, 2, 3].map((n) => client(`stranger ${n}`));
    for (const one of strangers) line.enter(one, 'far');
    expect(line.enter(client('node 1'), 'near')).toBeUndefined();
    expect(line.enter(client('node 2'), 'near')).toBe(strangers[2]);
    const late = client('node 3');
    expect(line.enter(late, 'near')).toBe(late);
    expect(line.waiting).toBe(4);
  });

  it('turns away who would wait too long at the pace of the last turns', () => {
    const line = lineOf({ underWay: 1, waiting: 1_000, waitMs: 1_000 });
    const wait = (): Client | undefined => line.enter(client('one'), 'n');
    for (let n = 0; n < 100; n++) wait();
    for (let now = 0; now < 5_000; now += 100) {
      const one = line.next(now);
      if (one !== undefined) line.leave(one);
    }
    // Ten turns in a second: half of those who are there are too many already.
    expect(line.waiting).toBe(50);
    expect(wait()).toBeDefined();
    for (let now = 5_000; now < 5_400; now++) {
      const one = line.next(now);
      if (one !== undefined) line.leave(one);
    }
    // Nobody waited in between, which says nothing of the pace.
    line.next(90_000);
    for (let n = 0; n < 9; n++) expect(wait()).toBeUndefined();
  });

  it('never has more under way or waiting than it may, and nobody twice, whatever happens', () => {
    const act = fc.oneof(
      fc.record({ does: fc.constant('enter' as const), who: fc.nat(12), network: fc.nat(3) }),
      fc.record({ does: fc.constantFrom('leave' as const, 'slow' as const), who: fc.nat(12) }),
      fc.record({ does: fc.constant('next' as const), after: fc.nat(500) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const line = lineOf();
        const clients = Array.from({ length: 13 }, (_, n) => client(String(n)));
        const [waiting, begun, slow] = [new Set<Client>(), new Set<Client>(), new Set<Client>()];
        let now = 0;
        const took = {
          enter: (who: Client, network: string) => {
            if (waiting.has(who) || begun.has(who)) return;
            waiting.add(who);
            const out = line.enter(who, network);
            if (out !== undefined) expect(waiting.delete(out)).toBe(true);
          },
          next: (after: number) => {
            now += after;
            const isDue = begun.size - slow.size < places.underWay && waiting.size > 0;
            const next = line.next(now);
            expect(next !== undefined).toBe(isDue);
            if (next === undefined) return;
            expect(waiting.delete(next)).toBe(true);
            begun.add(next);
          },
          slow: (who: Client) => {
            line.givePlaceBack(who);
            if (begun.has(who)) slow.add(who);
          },
          leave: (who: Client) => {
            line.leave(who);
            for (const set of [waiting, begun, slow]) set.delete(who);
          },
        };
        for (const one of acts) {
          const who = clients['who' in one ? one.who : 0] ?? client('none');
          if (one.does === 'enter') took.enter(who, String(one.network));
          else if (one.does === 'next') took.next(one.after);
          else took[one.does](who);
          expect([line.waiting, line.underWay]).toEqual([waiting.size, begun.size - slow.size]);
          expect(line.waiting).toBeLessThanOrEqual(places.waiting);
        }
      }),
    );
  });
});
