import { createServer, type Server, type ServerResponse } from 'node:http';
import { printableLine } from '../../base/printable.ts';
import type { HostPort, Listeners } from '../../base/service.ts';
import { type Health, healthOf } from './health.ts';
import type { MetricsRegistry } from './metrics.ts';
import { answerReadyz, type KnownHealth } from './readyz.ts';

/** From a connection to the end of its request. */
const timeouts = {
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
} as const;

/** `process_state` as in 4.4; `degraded` when something is missing. */
const stateNumbers = { ok: 0, degraded: 2, 'not serving': 2, starting: 3 } as const;
const mayConnect = (status: Health['status'] | 'serving'): number =>
  ['ok', 'serving', 'degraded'].includes(status) ? 1 : 0;

/** The diagnostics listener: `/healthz` (the process is alive), `/readyz` (`answerReadyz`), `/metrics`. */
export async function openDiagnostics(
  address: HostPort,
  deps: { listeners: Listeners; metrics: MetricsRegistry; health: () => KnownHealth },
): Promise<{ address: HostPort; close: () => Promise<void> }> {
  deps.metrics.onRender(() => {
    setHealth(deps.metrics, deps.health());
    deps.metrics.set('process_resident_memory_bytes', process.memoryUsage.rss());
    deps.metrics.setCounter(
      'process_cpu_seconds_total',
      (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
    );
    deps.metrics.set('process_start_time_seconds', Math.round(Date.now() / 1000 - process.uptime()));
  });
  const server = createServer(timeouts, (request, response) => {
    const [path, query = ''] = (request.url ?? '').split('?', 2);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      answer(response, 405, { status: 'method not allowed' });
    else if (path === '/healthz') answer(response, 200, { status: 'ok' });
    else if (path === '/readyz') {
      const { code, body } = answerReadyz(deps.health(), new URLSearchParams(query));
      answer(response, code, body);
    } else if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(deps.metrics.render());
    } else answer(response, 404, { status: 'not found' });
  });
  const bound = await deps.listeners.listen('diag', server, address);
  return { address: bound, close: () => closeServer(server) };
}

/** For each service: whether it should get connections, and how many things it lacks. */
function setHealth(metrics: MetricsRegistry, { services, lacks, leaving }: KnownHealth): void {
  const { status } = healthOf(services, [], lacks, leaving);
  metrics.set('process_state', stateNumbers[status]);
  metrics.set('process_ready', mayConnect(status));
  for (const [service, state] of services) {
    metrics.set('service_ready', mayConnect(state.status), { service });
    metrics.set('service_lacks', state.status === 'degraded' ? state.lacks.length : 0, { service });
  }
}

function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  // People read it on a terminal, with curl.
  response.end(printableLine(JSON.stringify(body)));
}

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
