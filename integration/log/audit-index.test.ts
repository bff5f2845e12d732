import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** `LOG_TRIAL_FACTOR=10`: a million events of 500,000 sessions. */
const factor = Number(process.env['LOG_TRIAL_FACTOR'] ?? 1);
const sessions = 50_000 * factor;

interface Filled {
  readonly events: number;
  readonly streams: number;
  /** After a fifth of the events, and at the end. */
  readonly warm: { readonly heapMiB: number; readonly rssAnonMiB: number };
  readonly end: { readonly heapMiB: number; readonly rssAnonMiB: number };
  readonly busyMs: number;
}
interface Opened {
  readonly cpuMs: number;
  readonly events: number;
  readonly busyMs: number;
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'audit-index-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

async function bench(...args: string[]): Promise<unknown> {
  const node = ['--expose-gc', '--disable-warning=ExperimentalWarning', 'integration/bench/audit-index.ts'];
  const child = spawn(process.execPath, [...node, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  return JSON.parse(said);
}

/** Tries again, at most twice, while `isGood` does not hold; resolves to the last, and which one it is. */
async function bestOfThree<T>(
  once: (n: number) => Promise<T>,
  isGood: (one: T) => boolean,
): Promise<[number, T]> {
  for (let n = 1; ; n++) {
    const one = await once(n);
    if (isGood(one) || n === 3) return [n, one];
  }
}

/** 25 to 90 ms by machine; what is to be noticed is a turn that grows with the number of sessions. */
const longestTurnMs = 150;

describe.each([
  // As hosts tell them now: a stream for each host.
  ['numbered', 1],
  // As hosts of the release before do: a stream for each session.
  ['sessions', sessions],
])('an auth server beneath many sessions, told %s', (senders, streams) => {
  it(
    'holds no more for them, is never long away, and opens at once',
    async () => {
      // In CPU time of its own thread. Whatever disturbs it only adds: the best of three is what it takes.
      const isPrompt = (one: Filled | Opened): boolean => one.busyMs < longestTurnMs;
      const fillOnce = (n: number): Promise<Filled> =>
        bench('fill', join(directory, `${senders}-${n}`), String(sessions), senders) as Promise<Filled>;
      const [n, filled] = await bestOfThree(fillOnce, isPrompt);
      expect(filled.events).toBeGreaterThanOrEqual(sessions * 2);
      expect(filled.streams).toBeGreaterThan(streams);
      // What is reachable. A filter has two bytes for each stream, in whole-number runs: a MiB for half a
      // million.
      expect(filled.end.heapMiB - filled.warm.heapMiB).toBeLessThan(2 + 2 * factor);
      // The heap of a process comes to its size only after some 100,000 events: on a long run it is there.
      if (factor >= 10) expect(filled.end.rssAnonMiB - filled.warm.rssAnonMiB).toBeLessThan(20);
      expect(filled.busyMs).toBeLessThan(longestTurnMs);
      const openOnce = (): Promise<Opened> =>
        bench('open', join(directory, `${senders}-${n}`)) as Promise<Opened>;
      const [, opened] = await bestOfThree(openOnce, (one) => isPrompt(one) && one.cpuMs < 500);
      expect(opened.events).toBe(filled.events);
      expect(opened.cpuMs).toBeLessThan(500);
      expect(opened.busyMs).toBeLessThan(longestTurnMs);
    },
    factor * 600_000,
  );
});
