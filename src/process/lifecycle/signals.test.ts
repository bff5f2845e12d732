import { expect, it, vi } from 'vitest';
import { handleSignals } from './signals.ts';

it('each signal has its meaning, until nobody handles them any more', () => {
  const actions = { stop: vi.fn(), drain: vi.fn(), reload: vi.fn(), fork: vi.fn(), diagnose: vi.fn() };
  const calls = (): unknown[] =>
    Object.entries(actions).flatMap(([name, { mock }]) =>
      mock.calls.map((args: unknown[]) => [name, ...args]),
    );
  const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2', 'SIGUSR1'] as const;
  const before = signals.map((signal) => process.listenerCount(signal));
  const undo = handleSignals(actions);
  const own = signals.map((signal) => process.listeners(signal).at(-1) as () => void);
  const expected = [
    ['stop', 'SIGTERM'],
    ['stop', 'SIGINT'],
    ['drain', 'SIGQUIT'],
    ['reload'],
    ['fork'],
    ['diagnose'],
  ];
  for (const [n, handler] of own.entries()) {
    vi.clearAllMocks();
    handler();
    expect(calls()).toEqual([expected[n]]);
  }
  undo();
  expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before);
});
