import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { minute, second } from '../../base/time.ts';
import { startWaiting } from './start-waiting.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp(): {
  readonly waits: (waiting: Readonly<Record<string, string>>) => void;
  readonly close: () => void;
  readonly said: string[];
} {
  const said: string[] = [];
  const { waits, close } = startWaiting({
    say: (status) => said.push(status),
    extend: (ms) => said.push(`extend ${ms / second} s`),
    monotonic: () => performance.now(),
    beReady: (status) => said.push(`ready, ${status}`),
  });
  return {
    waits: (waiting) => {
      waits(new Map(Object.entries(waiting)));
    },
    close,
    said,
  };
}

describe('a start that waits', () => {
  it('for its cluster is ready as one that waits, after a while, and goes on saying for what', () => {
    const { waits, said } = setUp();
    waits({ node: 'no route' });
    expect(said).toEqual(['extend 120 s', 'waiting to join: no route']);
    vi.advanceTimersByTime(9 * second);
    expect(said.slice(2)).toEqual(['extend 120 s']);
    vi.advanceTimersByTime(second);
    expect(said.slice(3)).toEqual(['ready, waiting to join: no route']);
    vi.advanceTimersByTime(minute);
    waits({ node: 'the token expired' });
    expect(said.slice(4)).toEqual(['waiting to join: the token expired']);
  });

  it('for its store is given more time for as long as it waits, and is not ready', () => {
    const { waits, said } = setUp();
    waits({ auth: 'no peer answers' });
    vi.advanceTimersByTime(10 * minute);
    expect(said.filter((one) => !one.startsWith('extend'))).toEqual([
      'waiting for the store: no peer answers',
    ]);
    expect(said.filter((one) => one.startsWith('extend')).length).toBeGreaterThan(100);
    waits({});
    const before = said.length;
    vi.advanceTimersByTime(10 * minute);
    expect(said.slice(before)).toEqual([]);
    expect(said.at(-1)).toBe('starting');
  });

  it('for nothing says nothing, nor when it is over', () => {
    const { waits, close, said } = setUp();
    vi.advanceTimersByTime(minute);
    waits({});
    vi.advanceTimersByTime(minute);
    expect(said).toEqual([]);
    close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
