import { createServer, type Server, type ServerResponse } from 'node:http';
import { printableLine } from '../base/printable.ts';
import type { HostPort, Listeners } from '../base/service.ts';
import type { MetricsRegistry } from './metrics.ts';

export type Health =
  /** `waitsFor`: what is missing, when something is. */
  | { readonly status: 'starting'; readonly waitsFor: readonly string[] }
  /** `notices`: what somebody should look at, though it serves. */
  | { readonly status: 'ok'; readonly notices?: readonly string[] }
  | { readonly status: 'degraded'; readonly reasons: readonly string[] };

/** From a connection to the end of its request. */
const timeouts = {
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 2_000,
} as const;

const stateNumbers = { ok: 0, degraded: 2, starting: 3 } as const;

/**
 * The diagnostics listener: `/healthz` (the process lives), `/readyz` (it serves, or says what it lacks), `/metrics`.
 * Codes as users of 4.4 know them: 200, 400 while starting, 503 degraded.
 */
export async function openDiagnostics(
  address: HostPort,
  deps: { listeners: Listeners; metrics: MetricsRegistry; health: () => Health },
): Promise<{ address: HostPort; close: () => Promise<void> }> {
  deps.metrics.onRender(() => {
    deps.metrics.set('process_state', stateNumbers[deps.health().status]);
    deps.metrics.set('process_resident_memory_bytes', process.memoryUsage.rss());
    deps.metrics.set(
      'process_cpu_seconds_total',
      (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
    );
    deps.metrics.set('process_start_time_seconds', Math.round(Date.now() / 1000 - process.uptime()));
  });
  const server = createServer(timeouts, (request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD')
      answer(response, 405, { status: 'method not allowed' });
    else if (path === '/healthz') answer(response, 200, { status: 'ok' });
    else if (path === '/readyz') {
      const { code, body } = readyzAnswer(deps.health());
      answer(response, code, body);
    } else if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(deps.metrics.render());
    } else answer(response, 404, { status: 'not found' });
  });
  const bound = await deps.listeners.listen('diag', server, address);
  return { address: bound, close: () => closeServer(server) };
}

/** What `/readyz` says of this health. */
export function readyzAnswer(health: Health): { readonly code: number; readonly body: object } {
  switch (health.status) {
    case 'ok': {
      const { notices = [] } = health;
      return { code: 200, body: { status: 'ok', ...(notices.length === 0 ? {} : { notices }) } };
    }
    case 'starting': {
      const { waitsFor } = health;
      const status = "teleport is starting and hasn't joined the cluster yet";
      return { code: 400, body: { status, ...(waitsFor.length === 0 ? {} : { waitsFor }) } };
    }
    case 'degraded':
      return { code: 503, body: { status: 'degraded', reasons: health.reasons } };
  }
}

function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  // Read on a terminal, by curl.
  response.end(printableLine(JSON.stringify(body)));
}

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
