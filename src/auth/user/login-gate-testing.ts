import { type FakeWorld, fakeWorld } from '../../api/testing.ts';
import { type LoginGate, loginGate } from './login-gate.ts';

export interface TestGate {
  readonly world: FakeWorld;
  /** How many were turned away unexamined, and refused without an event. */
  readonly counts: Readonly<Record<'unexamined' | 'untold', number>>;
  readonly gate: LoginGate;
}

export function openGate(): TestGate {
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
/** An attempt that does not end. */
export const never = (): Promise<never> => new Promise(() => undefined);
export const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'ok',
    (e: unknown) => (e as { code: string }).code,
  );
