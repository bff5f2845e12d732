import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LogSink } from '../../base/log-sink.ts';
import { formatHostPort } from '../../base/service.ts';
import { version } from '../../base/version.ts';
import type { ProcessRef } from '../../base/process-ref.ts';
import { lineText } from '../logging/logger.ts';
import { sendToSystemLog, type SystemLog } from '../logging/system-log.ts';
import type { TeleportProcess } from '../teleport.ts';

const delay = monitorEventLoopDelay({ resolution: 20 });
delay.enable();

/**
 * USR1: logs what this process does now, in our log and in the system's: a line each for listeners,
 * connections, memory and the services' own reports. Numbers and names only: never a secret, never a person's
 * data beyond the name of a login.
 */
export async function diagnose(
  sink: LogSink,
  process_: {
    readonly teleport: TeleportProcess | undefined;
    readonly older: readonly ProcessRef[];
    readonly newer: readonly ProcessRef[];
    readonly systemLog: SystemLog;
  },
): Promise<void> {
  const { teleport, older, newer, systemLog } = process_;
  const lines: string[] = [];
  const say = (message: string, fields: Record<string, unknown> = {}): void => {
    sink.info(message, fields);
    lines.push(lineText(message, fields));
  };
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  say('SIGUSR1: diagnostics', {
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
  if (teleport === undefined) say('SIGUSR1: still starting');
  else await sayServices(teleport, say);
  await sendToSystemLog(lines, systemLog, sink);
}

async function sayServices(
  teleport: TeleportProcess,
  say: (message: string, fields: Record<string, unknown>) => void,
): Promise<void> {
  const connections = await teleport.waitsFor();
  for (const [name, address] of teleport.addresses())
    say('SIGUSR1: listener', {
      name,
      address: formatHostPort(address),
      connections: connections[name] ?? 0,
    });
  for (const [service, report] of teleport.diagnostics()) say('SIGUSR1: service', { service, ...report });
}
