import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort } from '../base/service.ts';
import { version } from '../base/version.ts';
import type { ProcessRef } from '../base/process-ref.ts';
import type { TeleportProcess } from './teleport.ts';

const delay = monitorEventLoopDelay({ resolution: 20 });
delay.enable();

/**
 * USR1: writes down what this process does now, a line each for listeners, connections, memory and what the services
 * report. Numbers and names only: never a secret, never a person's data beyond the name of a login.
 */
export async function diagnose(
  sink: LogSink,
  process_: {
    readonly teleport: TeleportProcess | undefined;
    readonly older: readonly ProcessRef[];
    readonly newer: readonly ProcessRef[];
  },
): Promise<void> {
  const { teleport, older, newer } = process_;
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  sink.info('SIGUSR1: diagnostics', {
    pid: process.pid,
    version,
    uptimeSeconds: Math.round(process.uptime()),
    older: older.map((one) => one.pid),
    newer: newer.map((one) => one.pid),
    memory: { rss, heapUsed, heapTotal, external },
    eventLoopDelayMs: {
      mean: Math.round(delay.mean / 1e4) / 100,
      p99: Math.round(delay.percentile(99) / 1e4) / 100,
      max: Math.round(delay.max / 1e4) / 100,
    },
  });
  delay.reset();
  if (teleport === undefined) {
    sink.info('SIGUSR1: still starting');
    return;
  }
  const connections = await teleport.waitsFor();
  for (const [name, address] of teleport.addresses())
    sink.info('SIGUSR1: listener', {
      name,
      address: formatHostPort(address),
      connections: connections[name] ?? 0,
    });
  for (const [service, report] of teleport.diagnostics())
    sink.info('SIGUSR1: service', { service, ...report });
}
