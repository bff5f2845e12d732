import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { second } from '../../base/time.ts';
import type { Health } from './health.ts';
import { tellHealth } from './tell-health.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('says at once when it serves with less, or not at all; and a number that grows only now and then', () => {
  let health: Health = { status: 'ok', notices: [] };
  const [statuses, lines]: [string[], string[]] = [[], []];
  const { close } = tellHealth({
    health: () => health,
    sink: { info: (text) => lines.push(text), warn: (text) => lines.push(text) },
    status: (text) => statuses.push(text),
    monotonic: () => performance.now(),
  });
  const after = (seconds: number, now: Health): void => {
    health = now;
    vi.advanceTimersByTime(seconds * second);
  };
  const behind = (ms: number): Health => ({ status: 'not serving', reasons: [`auth: ${ms} ms behind`] });
  after(10, health);
  expect([statuses, lines]).toEqual([[], []]);
  after(1, { status: 'degraded', reasons: ['proxy: auth is away', 'node: no terminals'], notices: [] });
  for (let n = 1; n <= 61; n++) after(1, behind(n));
  after(1, { status: 'ok', notices: [] });
  const said = ['serving, but proxy: auth is away; node: no terminals', 'not serving: auth: 1 ms behind'];
  expect(statuses).toEqual([...said, 'not serving: auth: 61 ms behind', 'serving']);
  expect(lines).toEqual([
    ...said.map((text) => `this process is ${text}`),
    'this process serves without restrictions again',
  ]);
  close();
  expect(vi.getTimerCount()).toBe(0);
});

it('tells another reason, too, and no more than once a minute', () => {
  let reason = '';
  const lines: string[] = [];
  const { close } = tellHealth({
    health: () => ({ status: 'degraded', reasons: [reason], notices: [] }),
    sink: { info: (text) => lines.push(text), warn: (text) => lines.push(text) },
    status: () => undefined,
    monotonic: () => performance.now(),
  });
  const forSeconds = (seconds: number, text: (n: number) => string): void => {
    for (let n = 1; n <= seconds; n++) {
      reason = text(n);
      vi.advanceTimersByTime(second);
    }
  };
  forSeconds(100, (n) => `proxy: auth is away since ${n} s`);
  forSeconds(100, (n) => `node: the disk takes nothing for ${n} s`);
  forSeconds(150, (n) => (n % 2 === 0 ? 'a' : 'b'));
  expect(lines).toEqual([
    'this process is serving, but proxy: auth is away since 1 s',
    expect.stringContaining('the disk takes nothing'),
    expect.stringMatching(/[ab]$/),
    expect.stringMatching(/[ab]$/),
  ]);
  close();
});
