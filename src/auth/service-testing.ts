import type { Server } from 'node:net';
import { afterEach, vi } from 'vitest';
import { connectAuth } from '../api/auth-connection.ts';
import type { AuthClient } from '../api/client.ts';
import { type FakeWorld, fakeWorld, recordingMetrics, recordingSink } from '../api/testing.ts';
import { type HostPort, noStrangers, type Running } from '../base/service.ts';
import { second } from '../base/time.ts';
import type { PresenceFact } from '../domain/presence.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { memoryLog } from '../log/memory-log.ts';
import { type AuthConfig, type AuthService, createAuthService } from './service.ts';
import { authHostId, eventsOf } from './testing.ts';

/** Of a machine that calls. */
export const hostId = '00000000-0000-4000-8000-0000000000b1';
const timers = ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const;
export const fakeTimers = (): void => {
  vi.useFakeTimers({ toFake: [...timers] });
};

export interface Bench {
  readonly service: AuthService;
  readonly world: FakeWorld;
  readonly log: ClusterLog;
  readonly sink: ReturnType<typeof recordingSink>;
  readonly listening: { readonly name: string; readonly address: HostPort }[];
  /** How many connections authenticated their caller. */
  readonly recognised: unknown[];
}

export interface Wish {
  readonly config?: Partial<AuthConfig>;
  readonly world?: FakeWorld;
  readonly log?: ClusterLog;
  readonly listen?: () => Promise<never>;
}

/**
 * An auth service that does not listen: tests connect to it from within. Its clock stands at the real time,
 * since TLS uses that.
 */
export function bench(wish: Wish = {}): Bench {
  const world = wish.world ?? fakeWorld(new Date().toISOString());
  const log = wish.log ?? memoryLog({ world });
  const sink = recordingSink();
  const listening: { name: string; address: HostPort }[] = [];
  const recognised: unknown[] = [];
  const service = createAuthService({
    ...{ log, world, sink, metrics: recordingMetrics() },
    ageing: () => Date.parse(world.now()),
    listeners: {
      listen: (name: string, server: Server, address: HostPort) => {
        if (wish.listen) return wish.listen();
        listening.push({ name, address });
        server.emit('listening');
        return Promise.resolve({ ...address, port: 3025 });
      },
      strangers: { ...noStrangers, recognised: (socket) => void recognised.push(socket) },
    },
    config: {
      hostId: authHostId,
      nodename: 'auth-1',
      clusterName: 'example',
      secondFactor: 'otp',
      listenAddress: { host: '10.0.0.1', port: 0 },
      publicAddresses: ['auth.example.com'],
      ...wish.config,
    },
  });
  return { service, world, log, sink, listening, recognised };
}

const clients: AuthClient[] = [];
const logs: ClusterLog[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients.splice(0)) client.close();
  for (const log of logs.splice(0)) await log.close();
});

export async function begin(wish: Wish = {}): Promise<Bench & { readonly running: Running }> {
  const made = bench(wish);
  logs.push(made.log);
  return { ...made, running: await made.service.start() };
}

export type Identity = Parameters<typeof connectAuth>[0]['identity'];
export function clientFor({ service, world, sink }: Bench, identity: Identity): AuthClient {
  const within = () => service.connectWithin();
  // A port where nothing listens: what is not served from within fails.
  const servers = [{ host: '127.0.0.1', port: 1 }];
  const client = connectAuth({ servers, identity, within, world, sink, callTimeoutMs: 5 * second });
  clients.push(client);
  return client;
}
export async function clientAs(bench: Bench, role: 'Proxy' | 'Node' | 'Admin'): Promise<AuthClient> {
  const wanted = { hostId, nodename: 'one', role, additionalPrincipals: [] };
  return clientFor(bench, await bench.service.issueHostIdentity(wanted));
}
export const renewals = async (log: ClusterLog): Promise<{ seenAt: string; ttlSeconds: number }[]> =>
  (await eventsOf(log, 'presence'))
    .flatMap(({ fact }) => (fact.type === 'hosts.renewed' ? (fact as PresenceFact).data.hosts : []))
    .filter((host) => host.hostId === authHostId && host.role === 'Auth');
