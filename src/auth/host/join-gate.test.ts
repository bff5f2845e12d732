import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../../api/testing.ts';
import { second } from '../../base/time.ts';
import { joinGate } from './join-gate.ts';

function openGate() {
  const world = fakeWorld();
  const counted = { unexamined: [] as string[], untold: [] as string[] };
  const counting = (what: keyof typeof counted) => ({
    count: (address: string) => void counted[what].push(address),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  const gate = joinGate(world, { unexamined: counting('unexamined'), untold: counting('untold') });
  return { world, counted, gate };
}
/** Each from a network of its own. */
const place = (n: number): string => `10.${n >> 8}.${n & 255}.1:4711`;
const joined = (): Promise<string> => Promise.resolve('joined');

describe('the gate before machines that join', () => {
  it('lets 256 be under way at once, and the next when one of them has ended, well or not', async () => {
    const { gate, counted } = openGate();
    const ends: PromiseWithResolvers<string>[] = [];
    const all = Array.from({ length: 256 }, (_, n) =>
      gate.admit(place(n), () => {
        const one = Promise.withResolvers<string>();
        ends.push(one);
        return one.promise;
      }),
    );
    expect(ends).toHaveLength(256);
    const next = () => gate.admit(place(1_000), joined);
    await expect(next()).rejects.toMatchObject({
      code: 'limit_exceeded',
      message: 'too many machines join at this moment, try again',
    });
    expect(counted.unexamined).toEqual([place(1_000)]);
    ends[0]?.resolve('joined');
    await all[0];
    expect(await next()).toBe('joined');
    ends[1]?.reject(new Error('bad token'));
    await expect(all[1]).rejects.toThrow('bad token');
    const two = [next(), gate.admit(place(1_001), () => new Promise<string>(() => undefined))];
    expect(await two[0]).toBe('joined');
    expect(counted.unexamined).toHaveLength(1);
  });

  it('looks at twenty a second from one address, and at others meanwhile', async () => {
    const { gate, counted, world } = openGate();
    const ask = (address: string): Promise<string> =>
      gate.admit(address, joined).catch((e: unknown) => (e as Error).message);
    const told: string[] = [];
    for (let n = 0; n < 22; n++) told.push(await ask(`192.0.2.1:${n}`));
    expect(told.slice(0, 20)).toEqual(Array(20).fill('joined'));
    const why = 'too many attempts to join from this address, try again in a second';
    expect(told.slice(20)).toEqual([why, why]);
    expect(counted.unexamined).toEqual(['192.0.2.1:20', '192.0.2.1:21']);
    expect(await ask('198.51.100.1:1')).toBe('joined');
    world.advance(second);
    expect(await ask('192.0.2.1:1')).toBe('joined');
  });

  it('lets refusals have events of their own: two a second of one address, ten of all; others are counted', () => {
    const { gate, counted, world } = openGate();
    const told = (n: number): boolean[] => Array.from({ length: 3 }, () => gate.mayTell(place(n)));
    expect(told(0)).toEqual([true, true, false]);
    expect(counted.untold).toEqual([place(0)]);
    for (let n = 1; n < 5; n++) expect(told(n)).toEqual([true, true, false]);
    expect(told(5)).toEqual([false, false, false]);
    expect(counted.untold).toHaveLength(8);
    world.advance(second);
    expect(told(0)).toEqual([true, true, false]);
    gate.untold(place(7));
    expect(counted.untold.at(-1)).toBe(place(7));
    expect(counted.unexamined).toEqual([]);
  });
});
