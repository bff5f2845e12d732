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

describe.each([
  // As hosts tell them now: a stream for each host.
  ['numbered', 1],
  // As hosts of the release before do: a stream for each session.
  ['sessions', sessions],
])('an auth server beneath many sessions, told %s', (senders, streams) => {
  it(
    'holds no more for them, is never long away, and opens at once',
    async () => {
      const path = join(directory, senders);
      const filled = (await bench('fill', path, String(sessions), senders)) as Filled;
      expect(filled.events).toBeGreaterThanOrEqual(sessions * 2);
      expect(filled.streams).toBeGreaterThan(streams);
      // What is reachable. A filter has two bytes for each stream, in whole-number runs: a MiB for half a million.
      expect(filled.end.heapMiB - filled.warm.heapMiB).toBeLessThan(2 + 2 * factor);
      // The heap of a process comes to its size only after some 100,000 events: on a long run it is there.
      if (factor >= 10) expect(filled.end.rssAnonMiB - filled.warm.rssAnonMiB).toBeLessThan(20);
      // In CPU time of its own thread: other processes that want the same core are not the matter here.
      expect(filled.busyMs).toBeLessThan(50);
      const opened = (await bench('open', path)) as Opened;
      expect(opened.events).toBe(filled.events);
      expect(opened.cpuMs).toBeLessThan(500);
      expect(opened.busyMs).toBeLessThan(50);
    },
    factor * 600_000,
  );
});
