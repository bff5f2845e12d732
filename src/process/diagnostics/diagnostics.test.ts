import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { partitions } from '../../log/event.ts';
import { MetricsRegistry } from './metrics.ts';
import { exportLogMetrics } from './log-metrics.ts';
import { openDiagnostics } from './diagnostics.ts';
import type { KnownHealth } from './readyz.ts';

const address = { host: '127.0.0.1', port: 3000 };
const serving = { status: 'serving', notices: [] } as const;
const degraded = { status: 'degraded', lacks: ['no disk', 'no clock'], notices: [] } as const;
const notServing = { status: 'not serving', reason: 'no' } as const;

async function open(services: KnownHealth['services'], lacks: readonly string[] = []) {
  const metrics = new MetricsRegistry();
  const servers: Server[] = [];
  const bound = await openDiagnostics(address, {
    metrics,
    listeners: {
      listen: (name: string, server: Server, asked: unknown) => {
        expect([name, asked]).toEqual(['diag', address]);
        servers.push(server);
        return Promise.resolve({ ...address, port: 4000 });
      },
    } as never,
    health: () => ({ services, waitsFor: new Map(), lacks }),
  });
  /** What a request is answered. */
  const ask = (url: string, method = 'GET'): { code: number; type: unknown; body: string } => {
    const answer = { code: 0, type: undefined as unknown, body: '' };
    const response = {
      writeHead: (code: number, headers: Record<string, string>) => {
        answer.code = code;
        answer.type = headers['content-type'];
      },
      end: (text: string) => {
        answer.body = text;
      },
    };
    servers[0]?.emit(
      'request',
      { url, method } as unknown as IncomingMessage,
      response as unknown as ServerResponse,
    );
    return answer;
  };
  return { ask, bound, metrics };
}
const json = 'application/json';

it('the diagnostics say where they listen, and can be closed', async () => {
  const { bound } = await open(new Map());
  expect(bound.address.port).toBe(4000);
  await bound.close();
});

it.each([
  ['GET', '/healthz', 200, { status: 'ok' }],
  ['HEAD', '/healthz?x', 200, { status: 'ok' }],
  ['POST', '/healthz', 405, { status: 'method not allowed' }],
  ['GET', '/readyz', 200, { status: 'ok', reasons: ['node: no disk', 'node: no clock'] }],
  ['GET', '/readyz?strict', 503, undefined],
  ['GET', '/healthz/x', 404, { status: 'not found' }],
])('%s %s is answered with %d', async (method, url, code, body) => {
  const { ask } = await open(new Map([['node', degraded]]));
  const answer = ask(url, method);
  expect([answer.code, answer.type]).toEqual([code, json]);
  if (code !== 200 || body === undefined || !url.startsWith('/readyz')) {
    if (body !== undefined) expect(JSON.parse(answer.body)).toEqual(body);
  } else expect(answer.body).toContain('no clock');
});

it.each([
  ['all is well', serving, [], [0, 1, 1, 0] as const],
  ['a service lacks something', degraded, [], [2, 1, 1, 2] as const],
  ['the process lacks something', serving, ['x'], [2, 1, 1, 0] as const],
  ['a service does not serve', notServing, [], [2, 0, 0, 0] as const],
  ['a service starts', { status: 'starting' } as const, [], [3, 0, 0, 0] as const],
])('when %s the metrics say so', async (_what, state, lacks, figures) => {
  const [processState, ready, serviceReady, count] = figures;
  const { ask } = await open(new Map([['node', state]]), lacks);
  const { code, type, body } = ask('/metrics');
  expect([code, type]).toEqual([200, 'text/plain; version=0.0.4']);
  const lines = body.split('\n');
  for (const line of [
    `process_state ${processState}`,
    `process_ready ${ready}`,
    `service_ready{service="node"} ${serviceReady}`,
    `service_lacks{service="node"} ${count}`,
  ])
    expect(lines).toContain(line);
  const value = (name: string): number =>
    Number(lines.find((line) => line.startsWith(`${name} `))?.split(' ')[1]);
  const { user, system } = process.cpuUsage();
  expect(Math.abs(value('process_cpu_seconds_total') - (user + system) / 1e6)).toBeLessThan(5);
  expect(Math.abs(value('process_start_time_seconds') - (Date.now() / 1000 - process.uptime()))).toBeLessThan(
    5,
  );
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
});

it('the metrics of the log have each figure of each partition, and what is wrong', () => {
  const names = [
    'position',
    'slot',
    'streams',
    'appends',
    'events',
    'batches',
    'bytes',
    'conflicts',
    'ambiguous',
  ];
  const figures = [
    ...names,
    'commitMs',
    'slowestCommitMs',
    'waitingAppends',
    'waitingBytes',
    'followers',
    'lag',
  ];
  const one = Object.fromEntries(figures.map((name, n) => [name, (n + 1) * 1000]));
  const render = (wrong: object, store: object): string[] => {
    const metrics = new MetricsRegistry();
    const stats = Object.fromEntries(partitions.map((name) => [name, { ...one, ...wrong }]));
    exportLogMetrics(
      { stats: () => stats, store: () => ({ figures: { keys: 7 }, ...store }) } as never,
      metrics,
    );
    return metrics.render().split('\n');
  };
  const well = render({}, { trouble: undefined, writes: 'taken' });
  const rows = [
    ['position', 1000],
    ['slot', 2000],
    ['streams', 3000],
    ['appends', 4000],
    ['events_appended', 5000],
    ['batches', 6000],
    ['bytes', 7000],
    ['conflicts', 8000],
    ['ambiguous_commits', 9000],
    ['commit_seconds', 10],
    ['slowest_commit_seconds', 11],
    ['waiting_appends', 12000],
    ['waiting_bytes', 13000],
    ['followers', 14000],
    ['follower_lag_events', 15000],
    ['damaged', 0],
    ['went_back', 0],
    ['fenced', 0],
  ] as const;
  for (const partition of partitions)
    for (const [name, value] of rows)
      expect(well).toContain(`log_${name}{partition="${partition}"} ${value}`);
  for (const line of ['log_store_keys 7', 'log_store_in_trouble 0', 'log_store_refuses_writes 0'])
    expect(well).toContain(line);
  const badly = render({ damage: 'x', wentBack: 'x', fence: 'x' }, { trouble: 'away', writes: 'refused' });
  for (const name of ['damaged', 'went_back', 'fenced'])
    expect(badly).toContain(`log_${name}{partition="state"} 1`);
  for (const line of ['log_store_in_trouble 1', 'log_store_refuses_writes 1']) expect(badly).toContain(line);
});
