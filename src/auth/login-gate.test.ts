import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { noDeadline } from '../base/deadline.ts';
import { loginGate } from './login-gate.ts';

function openGate() {
  const world = fakeWorld();
  const counts = { unexamined: 0, untold: 0 };
  const counting = (what: keyof typeof counts) => ({
    count: () => {
      counts[what]++;
    },
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  const gate = loginGate(world, {
    unexamined: { login: counting('unexamined'), link: counting('unexamined') },
    untold: counting('untold'),
  });
  return { world, counts, gate };
}
const never = (): Promise<never> => new Promise(() => undefined);
const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'ok',
    (e: unknown) => (e as { code: string }).code,
  );

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
});
