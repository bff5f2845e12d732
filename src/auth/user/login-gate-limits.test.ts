import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { noDeadline } from '../../base/deadline.ts';
import { second } from '../../base/time.ts';
import type { Comer } from './login-gate.ts';
import { codeOf, never, openGate, type TestGate } from './login-gate-testing.ts';

describe('the gate before logins', () => {
  describe('limits how many logins are under way', () => {
    afterEach(() => {
      vi.useRealTimers();
    });
    /** Comers of addresses of their own, and how many of them had their turn. */
    const crowd = ({ gate }: TestGate) => {
      const begun = { known: 0, stranger: 0 };
      const codes: Promise<string>[] = [];
      let next = 0;
      const come = (kind: keyof typeof begun, count: number): void => {
        for (let n = 0; n < count; n++)
          codes.push(
            codeOf(
              gate.admit(
                {
                  address: `10.1.${Math.floor(next / 250)}.${next++ % 250}:1`,
                  known: kind === 'known',
                  wants: 'login',
                  deadline: noDeadline,
                },
                () => {
                  begun[kind]++;
                  return never();
                },
              ),
            ),
          );
      };
      return { begun, codes, come };
    };

    it('twelve at once, of which six of strangers', async () => {
      const gate = openGate();
      const { begun, come } = crowd(gate);
      come('stranger', 7);
      await turn();
      expect(begun).toEqual({ known: 0, stranger: 6 });
      come('known', 7);
      await turn();
      expect(begun).toEqual({ known: 6, stranger: 6 });
    });

    it('twelve at once of those who are known, when no stranger comes', async () => {
      const gate = openGate();
      const { begun, come } = crowd(gate);
      come('known', 13);
      await turn();
      expect(begun).toEqual({ known: 12, stranger: 0 });
    });

    it('64 of a kind wait, and the next is refused at once, with when to come again', async () => {
      const gate = openGate();
      const { come } = crowd(gate);
      come('known', 12);
      for (const known of [true, false]) {
        come(known ? 'known' : 'stranger', 64);
        const turnedAway = gate.counts.unexamined;
        await turn();
        expect(gate.counts.unexamined).toBe(turnedAway);
        const last = { address: '192.0.2.1:1', known, wants: 'login', deadline: noDeadline } as const;
        await expect(gate.gate.admit(last, never)).rejects.toMatchObject({
          message: 'too many logins are under way, try again in 5 s',
          retryAfterMs: 5 * second,
        });
        expect(gate.counts.unexamined).toBe(turnedAway + 1);
      }
    });

    it('each waits for three seconds', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const gate = openGate();
      const { begun, codes, come } = crowd(gate);
      come('stranger', 7);
      await vi.advanceTimersByTimeAsync(3 * second - 1);
      expect(gate.counts.unexamined).toBe(0);
      await vi.advanceTimersByTimeAsync(1);
      expect(await codes[6]).toBe('limit_exceeded');
      expect(gate.counts.unexamined).toBe(1);
      expect(begun.stranger).toBe(6);
    });
  });

  it('tells who comes too often from one address to wait for a second, and lets him in then', async () => {
    const { gate, world } = openGate();
    const comer = { address: '192.0.2.1:1', known: false, wants: 'login', deadline: noDeadline } as const;
    const inside = (): Promise<string> => Promise.resolve('in');
    for (let n = 0; n < 10; n++) await gate.admit(comer, inside);
    await expect(gate.admit(comer, inside)).rejects.toMatchObject({
      message: 'too many attempts from this address, try again in 1 s',
      retryAfterMs: second,
    });
    world.advance(second);
    for (let n = 0; n < 10; n++) expect(await gate.admit(comer, inside)).toBe('in');
    expect(await codeOf(gate.admit(comer, inside))).toBe('limit_exceeded');
    // Links are counted apart from logins.
    expect(await gate.admit({ ...comer, wants: 'link' }, inside)).toBe('in');
  });

  it('does not begin what nobody waits for any more', async () => {
    const { gate } = openGate();
    const ends: (() => void)[] = [];
    const comerOf = (n: number, deadline: Comer['deadline'] = noDeadline): Comer => ({
      ...{ address: `10.1.0.${n}:1`, known: false, wants: 'login', deadline },
    });
    for (let n = 0; n < 6; n++) void gate.admit(comerOf(n), () => new Promise<void>((end) => ends.push(end)));
    await turn();
    const late = codeOf(gate.admit(comerOf(7, { ...noDeadline, isOver: () => true }), never));
    await turn();
    ends[0]?.();
    expect(await late).toBe('limit_exceeded');
  });

  it('counts a refusal that the audit does not take', () => {
    const { gate, counts } = openGate();
    gate.untold('192.0.2.1:1');
    expect(counts).toEqual({ unexamined: 0, untold: 1 });
  });
});
