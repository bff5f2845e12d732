import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, vi } from 'vitest';
import type { AuthClient } from '../api/client.ts';
import { httpOver } from '../api/http-over.ts';
import { heartbeat } from '../api/operations/host.ts';
import { type FakeWorld, fakeWorld, recordingMetrics, recordingSink } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import { type HostPort, noStrangers, type Running, type Service } from '../base/service.ts';
import type { ParsedAuditEvent } from '../domain/audit-event.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { clusterStream, userStream } from '../domain/streams.ts';
import { secondsOf } from '../pki/certificate-life.ts';
import { replaceableIdentity, type ReplaceableIdentity } from '../pki/current-identity.ts';
import { issueHostSshCertificate } from '../pki/host-certificate.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { generateEd25519, privateKeyPem } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { issueUserSshCertificate } from '../pki/user-certificate.ts';
import { connectSsh, keyIdentity } from '../ssh/cert-client.ts';
import type { SshClient } from '../ssh/client-types.ts';
import { memoryLine } from '../ssh/testing.ts';
import { recordedAt, type ScriptedLog, scriptedLog } from '../views/testing.ts';
import type { ProxyConfig } from './proxy-deps.ts';
import { createProxyService } from './service.ts';
import { type FakeAuth, fakeAuth } from './testing.ts';

export const hostId = '00000000-0000-4000-8000-0000000000b1';
const now = '2026-01-01T00:00:00.000Z';
const [userCa, hostCa] = [generateEd25519(), generateEd25519()];

export function identityOf(): HostIdentity {
  const key = generateEd25519();
  const sshCertificate = issueHostSshCertificate({
    ...{ publicKey: publicKeyOf(key), ca: hostCa, hostId, nodename: 'proxy-1', clusterName: 'example' },
    ...{ role: 'Proxy', additionalPrincipals: [], now },
  });
  return {
    ...{ hostId, role: 'Proxy', clusterName: 'example', privateKeyPem: privateKeyPem(key), sshCertificate },
    ...{ tlsCertificatePem: '', tlsCasPem: [], sshHostCas: [] },
  };
}

const created = (name: 'user' | 'host', key: typeof userCa) => ({
  type: 'authority.created',
  data: {
    type: name,
    clusterName: 'example',
    keys: [
      {
        keyId: name,
        sshPublicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
        tlsCertificatePem: '',
        activeFrom: now,
      },
    ],
  },
});
export const aliceCreated = {
  type: 'user.created',
  data: { username: 'alice', roles: ['admin'], traits: { logins: ['root'] } },
};

/** Where the proxy of this test keeps files. */
export const place = { directory: '' };
const ends: (() => unknown)[] = [];
beforeEach(() => {
  place.directory = mkdtempSync(join(tmpdir(), 'proxy-'));
});
afterEach(async () => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) await end();
  rmSync(place.directory, { recursive: true });
});

export interface Wish {
  readonly config?: Partial<ProxyConfig>;
  /** A listener whose address is taken. */
  readonly taken?: string;
  /** Default: nothing. */
  readonly adopted?: () => Adopted;
}

/** A proxy without listening sockets, and an auth service that returns what the test sets. */
export interface Bench {
  readonly service: Service;
  readonly state: ScriptedLog;
  readonly presence: ScriptedLog;
  readonly calls: FakeAuth;
  /** Why auth is away. */
  readonly link: { away: string | undefined };
  /** The events that the audit received. */
  readonly told: readonly ParsedAuditEvent[];
  readonly world: FakeWorld;
  readonly identity: ReplaceableIdentity;
  /** The servers, by listener name. */
  readonly servers: ReadonlyMap<string, { readonly server: Server; readonly address: HostPort }>;
}

export function bench(wish: Wish = {}): Bench {
  const [state, presence] = [scriptedLog(), scriptedLog()];
  const calls = fakeAuth();
  const link: { away: string | undefined } = { away: undefined };
  const connected = {
    connection: () =>
      link.away === undefined
        ? ({ status: 'connected' } as const)
        : ({ status: 'away', since: 0, reason: link.away } as const),
    ageMs: () => 0,
    headSeen: () => state.newest,
  };
  const auth: AuthClient = {
    call: calls.call,
    state: { ...state, ...connected },
    presence: { ...presence, ...connected, headSeen: () => 0 },
    servers: () => ['10.0.0.6:3025', '10.0.0.5:3025'],
    close: () => undefined,
  };
  const told: ParsedAuditEvent[] = [];
  const world = fakeWorld(now);
  const sink = recordingSink();
  const identity = replaceableIdentity(identityOf());
  const servers = new Map<string, { readonly server: Server; readonly address: HostPort }>();
  const service = createProxyService({
    ...{ identity, auth, world, sink, metrics: recordingMetrics() },
    renewalTrouble: () => undefined,
    adopted: wish.adopted ?? (() => ['', '']),
    onSpread: () => undefined,
    openRootEntry: () => ({
      dial: () => Promise.reject(new CodedError('unavailable', 'there is no root')),
      forget: () => undefined,
    }),
    outbox: {
      emit: (event) => Promise.resolve(void told.push(event)),
      disk: () => ({ status: 'writable' }),
      ...{ pending: () => 3, refused: () => 0, trouble: () => undefined, close: () => Promise.resolve() },
    },
    listeners: {
      listen: (name: string, server: Server, address: HostPort) => {
        if (name === wish.taken) return Promise.reject(new CodedError('misconfigured', `${name} is taken`));
        servers.set(name, { server, address });
        server.emit('listening');
        return Promise.resolve({ ...address, port: name === 'proxy:ssh' ? 3023 : 3080 });
      },
      strangers: noStrangers,
    },
    lookUpName: () => Promise.reject(new CodedError('unavailable', 'DNS does not answer')),
    config: {
      ...{ hostId, nodename: 'proxy-1', clusterName: 'example' },
      sshListenAddress: { host: '0.0.0.0', port: 0 },
      webListenAddress: { host: '0.0.0.0', port: 1 },
      publicAddresses: ['proxy.example.com:3080'],
      sshPublicAddresses: ['ssh.example.com:3023'],
      advertiseIp: () => '10.0.0.2',
      authServers: [
        { host: '10.0.0.5', port: 3025 },
        { host: '10.0.0.6', port: 3025 },
      ],
      web: { speaks: 'plain', directory: place.directory, files: [] },
      ...wish.config,
    },
  });
  return { service, state, presence, calls, link, told, world, identity, servers };
}

function serverOf({ servers }: Bench, name: string): Server {
  const found = servers.get(name);
  if (found === undefined) throw new Error(`${name} does not listen`);
  return found.server;
}

/** The cluster as auth reports it, in the order of the log. */
export function tellCluster({ state, calls }: Bench): void {
  calls.on(heartbeat, () => ({}));
  state.tell(
    recordedAt(1, clusterStream, {
      type: 'cluster.created',
      data: { clusterName: 'example', clusterId: hostId, secondFactor: 'otp' },
    }),
    recordedAt(2, 'authority-user', created('user', userCa)),
    recordedAt(3, 'authority-host', created('host', hostCa)),
    recordedAt(4, userStream('alice'), aliceCreated),
  );
}

export async function begin(wish: Wish = {}): Promise<Bench & { readonly running: Running }> {
  const made = bench(wish);
  const starting = made.service.start();
  await turn();
  tellCluster(made);
  const running = await starting;
  ends.push(() => running.stop(0));
  return { ...made, running };
}

const nothing = (): void => undefined;
const likeSocket = { setTimeout: nothing, setKeepAlive: nothing, ref: nothing, unref: nothing };
export async function getPing(one: Bench): Promise<unknown> {
  const dial = (): Promise<Duplex> => {
    const [near, far] = duplexPair();
    near.once('close', () => far.destroy());
    serverOf(one, 'proxy:web').emit('connection', far);
    return Promise.resolve(Object.assign(near, likeSocket));
  };
  const http = httpOver(Object.assign(dial, { passOver: nothing }), false);
  const { signal } = new AbortController();
  const answer = await http.send({ method: 'GET', path: '/v1/webapi/ping', signal });
  const body = JSON.parse(await text(answer)) as unknown;
  http.close();
  return body;
}

/** Logs in at the SSH port with a certificate of this user. */
export function logIn(one: Bench, username: string, ca = userCa): Promise<SshClient> {
  const key = generateEd25519();
  const certificate = fromAuthorizedKeyLine(
    issueUserSshCertificate({
      ...{ publicKey: publicKeyOf(key), ca, username, principals: ['root'], roles: ['admin'], traits: {} },
      ...{ now: one.world.now(), ttlSeconds: 3600, format: 'standard', routeToCluster: '' },
      permit: { pty: true, portForwarding: true, agentForwarding: true },
    }),
  );
  const [near, far] = memoryLine();
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroy());
  serverOf(one, 'proxy:ssh').emit('connection', far);
  return connectSsh({
    target: { stream: near },
    username: 'root',
    identities: [keyIdentity(key, certificate)],
    hostAuthorities: () => [publicKeyOf(hostCa).blob],
    hostPrincipals: ['proxy-1'],
    hostRole: 'Proxy',
    now: () => secondsOf(one.world.now()),
  });
}
