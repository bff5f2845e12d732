import { beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { version } from '../../base/version.ts';
import type { SystemLog } from '../logging/system-log.ts';
import type { TeleportProcess } from '../teleport.ts';
import { diagnose } from './diagnose.ts';

const sent = vi.hoisted(() => ({ calls: [] as { lines: readonly string[]; to: unknown }[] }));
vi.mock('../logging/system-log.ts', () => ({
  sendToSystemLog: (lines: readonly string[], to: unknown) => {
    sent.calls.push({ lines, to });
    return Promise.resolve();
  },
}));
/** What the runtime measured, in nanoseconds. */
const delay = vi.hoisted(() => ({
  ...{ mean: 12_345_678, max: 99_501_000, percentile: (p: number) => p * 1e6 },
  ...{ enabled: false, resets: 0 },
  enable: () => {
    delay.enabled = true;
  },
  reset: () => {
    delay.resets++;
  },
}));
vi.mock('node:perf_hooks', () => ({ monitorEventLoopDelay: () => delay }));
beforeEach(() => {
  sent.calls = [];
  delay.resets = 0;
});

const systemLog: SystemLog = { kind: 'syslog', socket: '/dev/log' };
const teleport = {
  waitsFor: () => Promise.resolve({ node: 3 }),
  addresses: () =>
    new Map([
      ['node', { host: '10.0.0.1', port: 3022 }],
      ['auth', { host: '::1', port: 3025 }],
    ]),
  diagnostics: () => new Map([['auth', { position: 7 }]]),
} as unknown as TeleportProcess;

/** Each line with its fields, as they were said. */
async function said(of: TeleportProcess | undefined) {
  const sink = recordingSink();
  await diagnose(sink, {
    teleport: of,
    older: [{ pid: 11, startTime: '1' }],
    newer: [{ pid: 22, startTime: '2' }],
    systemLog,
  });
  return sink.lines.map((line) => {
    const at = line.indexOf('{');
    return { text: line.slice(0, at).trim(), fields: JSON.parse(line.slice(at)) as Record<string, unknown> };
  });
}

describe('what a process says of itself when it is asked', () => {
  it('is of itself first, then of each listener and each service', async () => {
    const [own, ...others] = await said(teleport);
    expect(own).toMatchObject({
      text: 'info SIGUSR1: diagnostics',
      fields: { pid: process.pid, version, older: [11], newer: [22] },
    });
    const { uptimeSeconds, memory, eventLoopDelayMs } = own?.fields ?? {};
    expect(Math.abs(Number(uptimeSeconds) - process.uptime())).toBeLessThanOrEqual(2);
    expect(Object.keys(memory as object)).toEqual(['rss', 'heapUsed', 'heapTotal', 'external']);
    expect(eventLoopDelayMs).toEqual({ mean: 12.35, p99: 99, max: 99.5 });
    // From one asking to the next.
    expect(delay).toMatchObject({ enabled: true, resets: 1 });
    expect(others).toEqual([
      {
        text: 'info SIGUSR1: listener',
        fields: { name: 'node', address: '10.0.0.1:3022', connections: 3 },
      },
      { text: 'info SIGUSR1: listener', fields: { name: 'auth', address: '[::1]:3025', connections: 0 } },
      { text: 'info SIGUSR1: service', fields: { service: 'auth', position: 7 } },
    ]);
  });

  it('is that it starts, before it has services', async () => {
    const lines = await said(undefined);
    expect(lines.map(({ text }) => text)).toEqual([
      'info SIGUSR1: diagnostics',
      'info SIGUSR1: still starting',
    ]);
  });

  it('goes to the system log too, line by line', async () => {
    await said(teleport);
    expect(sent.calls).toHaveLength(1);
    expect(sent.calls[0]?.to).toBe(systemLog);
    expect(sent.calls[0]?.lines).toEqual([
      expect.stringMatching(/^SIGUSR1: diagnostics pid=\d+ /),
      'SIGUSR1: listener name="node" address="10.0.0.1:3022" connections=3',
      'SIGUSR1: listener name="auth" address="[::1]:3025" connections=0',
      'SIGUSR1: service service="auth" position=7',
    ]);
  });
});
