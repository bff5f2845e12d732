import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { noDeadline } from '../../base/deadline.ts';
import { CodedError } from '../../base/errors.ts';
import { second } from '../../base/time.ts';
import type { Comer } from './login-gate.ts';
import { codeOf, never, openGate } from './login-gate-testing.ts';

describe('the gate before logins', () => {
  it('lets in who comes from where he was before, while a flood waits', async () => {
    const { gate } = openGate();
    for (let i = 0; i < 200; i++)
      gate
        .admit({ address: `192.0.2.${i}:1`, known: false, wants: 'login', deadline: noDeadline }, never)
        .catch(() => undefined);
    const owner = gate.admit(
      { address: '198.51.100.1:1', known: true, wants: 'login', deadline: noDeadline },
      () => Promise.resolve('in'),
    );
    await expect(owner).resolves.toBe('in');
  });

  it('lets a new address in before those that came often', async () => {
    const { gate, world, counts } = openGate();
    const addresses = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}:1`);
    for (const address of addresses)
      await gate.admit({ address, known: false, wants: 'login', deadline: noDeadline }, () =>
        Promise.resolve(),
      );
    world.advance(1_000);
    const ends: (() => void)[] = [];
    for (const address of addresses)
      gate
        .admit(
          { address, known: false, wants: 'login', deadline: noDeadline },
          () => new Promise<void>((end) => ends.push(end)),
        )
        .catch(() => undefined);
    await turn();
    let begun = false;
    const fresh = gate.admit(
      { address: '198.51.100.1:1', known: false, wants: 'login', deadline: noDeadline },
      () => {
        begun = true;
        return Promise.resolve('in');
      },
    );
    await turn();
    expect(begun).toBe(false);
    ends[0]?.();
    await expect(fresh).resolves.toBe('in');
    // 6 are served, 64 waited, 30 did not even; one more was sent away.
    expect(counts.unexamined).toBe(31);
  });

  it('refuses more than ten a second from one address, and counts them', async () => {
    const { gate, counts } = openGate();
    const ask = () =>
      codeOf(
        gate.admit({ address: '192.0.2.1:1', known: true, wants: 'login', deadline: noDeadline }, () =>
          Promise.resolve(),
        ),
      );
    const codes = await Promise.all(Array.from({ length: 12 }, ask));
    expect(codes.filter((code) => code === 'limit_exceeded')).toHaveLength(2);
    expect(counts.unexamined).toBe(2);
  });

  it('tells those apart by the names they claim who come by one balancer', async () => {
    const { gate } = openGate();
    const ask = (claims: string) =>
      codeOf(
        gate.admit(
          { address: '10.0.0.5:1', claims, known: false, wants: 'login', deadline: noDeadline },
          () => Promise.resolve(),
        ),
      );
    for (let i = 0; i < 10; i++) expect(await ask('mallory')).toBe('ok');
    expect(await ask('mallory')).toBe('limit_exceeded');
    expect(await ask('alice')).toBe('ok');
  });

  it('tells refusals one by one only so long, of one address and of all', () => {
    const { gate, counts } = openGate();
    const told = (address: string): number =>
      Array.from({ length: 100 }, () => gate.mayTell(address)).filter(Boolean).length;
    expect(told('192.0.2.1:1')).toBe(60);
    expect(Array.from({ length: 30 }, (_, i) => told(`192.0.3.${i}:1`)).reduce((a, b) => a + b)).toBe(540);
    expect(counts.untold).toBe(31 * 100 - 600);
  });

  describe('refused logins', () => {
    const refused = new CodedError('access_denied', 'invalid username or password');
    const tryAll = async (
      gate: ReturnType<typeof openGate>,
      comers: readonly Partial<Comer>[],
      attempt: () => Promise<unknown> = () => Promise.reject(refused),
    ): Promise<string[]> => {
      const codes: string[] = [];
      for (const comer of comers) {
        // Far below what one address may ask for in a second.
        gate.world.advance(second / 5);
        const whole: Comer = {
          address: '192.0.2.1:1',
          name: 'ghost',
          known: false,
          wants: 'login',
          deadline: noDeadline,
          ...comer,
        };
        codes.push(await codeOf(gate.gate.admit(whole, attempt)));
      }
      return codes;
    };
    const looked = (codes: readonly string[]): number =>
      codes.filter((code) => code === 'access_denied').length;

    it('of one address are looked at thirty times, then six times a minute, and told when to try again', async () => {
      const gate = openGate();
      const codes = await tryAll(
        gate,
        Array.from({ length: 80 }, (_, i) => ({ name: `ghost${i}` })),
      );
      expect(looked(codes)).toBe(31);
      expect(new Set(codes)).toEqual(new Set(['access_denied', 'limit_exceeded']));
      expect(gate.counts.unexamined).toBe(49);
      const again = gate.gate.admit(
        { address: '192.0.2.1:1', name: 'x', known: false, wants: 'login', deadline: noDeadline },
        never,
      );
      await expect(again).rejects.toMatchObject({
        message: 'too many failed attempts, try again in 5 s',
        retryAfterMs: 4_201,
      });
    });

    it('of one name are looked at sixty times, wherever they come from, but for who is known', async () => {
      const gate = openGate();
      const from = (i: number): Partial<Comer> => ({ address: `192.0.2.${i}:1`, name: 'alice' });
      const codes = await tryAll(
        gate,
        Array.from({ length: 100 }, (_, i) => from(i)),
      );
      expect(looked(codes)).toBe(60);
      const inside = (): Promise<string> => Promise.resolve('in');
      expect(await tryAll(gate, [{ ...from(101), known: true }], inside)).toEqual(['ok']);
      expect(await tryAll(gate, [from(101)], inside)).toEqual(['limit_exceeded']);
      expect(await tryAll(gate, [{ ...from(101), name: 'bob' }], inside)).toEqual(['ok']);
    });

    it('of others at an address do not keep out who is known there, who is refused in the same words', async () => {
      const gate = openGate();
      await tryAll(gate, Array(40).fill({}) as Partial<Comer>[]);
      const alice = { name: 'alice', known: true };
      expect(await tryAll(gate, [alice], () => Promise.resolve('in'))).toEqual(['ok']);
      const whole = { address: '192.0.2.1:1', wants: 'login', deadline: noDeadline } as const;
      const ways = [
        { ...whole, name: 'ghost', known: false },
        { ...whole, ...alice },
      ];
      const told = await Promise.all(
        ways.map((comer) => gate.gate.admit(comer, () => Promise.reject(refused)).catch((e: unknown) => e)),
      );
      expect(told[1]).toMatchObject({ code: 'limit_exceeded', message: (told[0] as Error).message });
      expect(told[1]).toMatchObject({ retryAfterMs: (told[0] as CodedError).retryAfterMs });
      // Thirty of his own, of which one was told above, and what both allowances get back in twelve seconds.
      let tried = 0;
      const guess = (): Promise<never> => {
        tried++;
        return Promise.reject(refused);
      };
      await tryAll(gate, Array(60).fill(alice) as Partial<Comer>[], guess);
      expect(tried).toBe(32);
    });

    it('are not counted of an address that may be anybody, but of the name', async () => {
      const gate = openGate();
      const shared = (name: string): Partial<Comer> => ({ claims: name, name });
      expect(looked(await tryAll(gate, Array(100).fill(shared('alice')) as Partial<Comer>[]))).toBe(60);
      expect(looked(await tryAll(gate, [shared('bob')]))).toBe(1);
    });

    it('are none that succeed, nor those that nobody could look at', async () => {
      const gate = openGate();
      for (const attempt of [
        (): Promise<string> => Promise.resolve('in'),
        (): Promise<never> => Promise.reject(new CodedError('unavailable', 'the store is away')),
      ])
        expect(await tryAll(gate, Array(100).fill({}) as Partial<Comer>[], attempt)).not.toContain(
          'limit_exceeded',
        );
      expect(looked(await tryAll(gate, Array(30).fill({}) as Partial<Comer>[]))).toBe(30);
    });
  });
});
