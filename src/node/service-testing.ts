import './machine-testing.ts'; // first: what it replaces must not have been loaded
import type { Server } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, vi } from 'vitest';
import type { Operation } from '../api/operation.ts';
import { type FakeWorld, fakeWorld, recordingSink } from '../api/testing.ts';
import { CodedError } from '../base/errors.ts';
import type { HostPort, Running, Service, Strangers } from '../base/service.ts';
import type { ParsedAuditEvent } from '../domain/audit-event.ts';
import type { HostRecord } from '../domain/host-info.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { roleSpec } from '../domain/role-spec.ts';
import { authorityStream, clusterStream, hostStream, roleStream, userStream } from '../domain/streams.ts';
import type { Fact, StreamName } from '../log/event.ts';
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
import type { NodeConfig } from './node-config.ts';
import type { NodeDeps } from './node-deps.ts';
import { createNodeService } from './service.ts';

export const hostId = '00000000-0000-4000-8000-0000000000a1';
export const proxyId = '00000000-0000-4000-8000-0000000000b1';
export const start = '2026-01-01T00:00:00.000Z';
export const [userCa, hostCa] = [generateEd25519(), generateEd25519()];

export function identityOf(role: 'Node' | 'Proxy' = 'Node'): HostIdentity {
  const key = generateEd25519();
  const id = role === 'Node' ? hostId : proxyId;
  const sshCertificate = issueHostSshCertificate({
    ...{ publicKey: publicKeyOf(key), ca: hostCa, hostId: id, nodename: 'node-1', clusterName: 'example' },
    ...{ role, additionalPrincipals: [], now: start },
  });
  return {
    ...{ hostId: id, role, clusterName: 'example', privateKeyPem: privateKeyPem(key), sshCertificate },
    ...{ tlsCertificatePem: '', tlsCasPem: [], sshHostCas: [] },
  };
}

const keyOf = (keyId: string, key: typeof userCa) => ({
  ...{ keyId, tlsCertificatePem: '', activeFrom: start },
  sshPublicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
});
const created = (type: 'user' | 'host', key: typeof userCa): Fact => ({
  type: 'authority.created',
  data: { type, clusterName: 'example', keys: [keyOf(type, key)] },
});
export const userCreated = (username: string): [StreamName, Fact] => [
  userStream(username),
  { type: 'user.created', data: { username, roles: ['admin'], traits: { logins: ['root'] } } },
];
/** The user authority has another key at once, and the one that it had counts no more. */
export const authorityReplaced = (): [StreamName, Fact] => [
  authorityStream('user'),
  {
    type: 'authority.replaced',
    data: {
      ...{ rotationId: 'r', at: start, by: 'admin', left: [], announcement: { text: '', signatures: [] } },
      key: keyOf('k2', generateEd25519()),
    },
  },
];
export const adminRole = (type: 'created' | 'updated', options: object, labels = {}): [StreamName, Fact] => {
  const allow = { logins: ['root'], nodeLabels: { '*': ['*'] }, ...labels };
  const role = roleSpec.parse({ name: 'admin', options, allow, deny: {} });
  return [roleStream('admin'), { type: `role.${type}`, data: { role } }];
};
export const proxyJoined = (wish: Partial<HostRecord> = {}): [StreamName, Fact] => [
  hostStream(proxyId),
  {
    type: 'host.joined',
    data: {
      host: {
        ...{ hostId: proxyId, role: 'Proxy', nodename: 'p', address: '10.0.0.9:3080', publicAddress: '' },
        ...{ sshPublicAddress: '', labels: {}, version: '4.5.0', ...wish },
      },
    },
  },
];

export interface Wish {
  readonly config?: Partial<NodeConfig>;
  readonly deps?: Partial<NodeDeps>;
  /** What roles are told, besides where one may log in. */
  readonly options?: object;
  /** The address cannot be had. */
  readonly taken?: boolean;
}

/** A node that listens nowhere, and an auth service that says what the test says. */
export interface Bench {
  readonly service: Service;
  readonly state: ScriptedLog;
  /** Why auth is away; and what it refuses a heartbeat with, or answers. */
  readonly link: { away: string | undefined; refusal: string | undefined; answer: object };
  /** Heartbeats, in the order in which they came. */
  readonly beats: Record<string, unknown>[];
  /** What the audit was told. */
  readonly told: ParsedAuditEvent[];
  /** What happened to whom, for the order of an end. */
  readonly order: string[];
  readonly world: FakeWorld;
  readonly identity: ReplaceableIdentity;
  readonly sink: ReturnType<typeof recordingSink>;
  readonly gauges: Map<string, number>;
  readonly counters: Map<string, number>;
  /** Whose address was said to be another. */
  readonly strangers: string[];
  readonly spreads: number[];
  /** How far it has followed rotations. */
  readonly standing: { adopted: Adopted };
  readonly listening: { name: string; server: Server; address: HostPort }[];
  /** Auth says these, one after the other. */
  tell(...facts: (readonly [StreamName, Fact])[]): void;
}

const ends: (() => unknown)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) await end();
});

export function bench(wish: Wish = {}): Bench {
  const state = scriptedLog();
  const link: Bench['link'] = { away: undefined, refusal: undefined, answer: {} };
  const [beats, told, order]: [Bench['beats'], Bench['told'], string[]] = [[], [], []];
  const [gauges, counters] = [new Map<string, number>(), new Map<string, number>()];
  const [strangers, spreads, listening]: [string[], number[], Bench['listening']] = [[], [], []];
  const standing: Bench['standing'] = { adopted: ['', ''] };
  const [world, sink, identity] = [fakeWorld(start), recordingSink(), replaceableIdentity(identityOf())];
  const call = (operation: Operation, input: unknown): Promise<never> => {
    const beat = input as Record<string, unknown>;
    beats.push(beat);
    order.push(beat['leaving'] === true ? 'farewell' : operation.name);
    return link.refusal === undefined
      ? Promise.resolve(link.answer as never)
      : Promise.reject(new CodedError('unavailable', link.refusal));
  };
  const connection: NodeDeps['auth']['state']['connection'] = () =>
    link.away === undefined ? { status: 'connected' } : { status: 'away', since: 0, reason: link.away };
  const listen = (name: string, server: Server, address: HostPort): Promise<HostPort> => {
    if (wish.taken === true) return Promise.reject(new CodedError('misconfigured', `${name} is taken`));
    listening.push({ name, server, address });
    const close = server.close.bind(server);
    server.close = (closed) => {
      order.push('listener');
      return close(closed);
    };
    return Promise.resolve({ ...address, port: 3022 });
  };
  const recorded: Strangers = {
    comesFrom: (_socket, address) => void strangers.push(address),
    recognised: () => undefined,
    broughtHeader: () => undefined,
  };
  const service = createNodeService({
    ...{ identity, world, sink, renewalTrouble: () => undefined, adopted: () => standing.adopted },
    onSpread: (ms) => void spreads.push(ms),
    auth: {
      call,
      state: { ...state, connection, ageMs: () => 0, headSeen: () => state.newest },
    },
    outbox: {
      emit: (event) => {
        told.push(event);
        order.push(`audit ${event.event}`);
        return Promise.resolve();
      },
      ...{ disk: () => ({ status: 'writable' }), pending: () => 3, trouble: () => undefined },
    },
    metrics: {
      add: (name, value) => counters.set(name, (counters.get(name) ?? 0) + value),
      set: (name: string, value) => gauges.set(name, value),
      observe: () => undefined,
    },
    listeners: { listen, strangers: recorded },
    lookUpName: () => Promise.reject(new CodedError('unavailable', 'DNS does not answer')),
    config: {
      ...{ hostId, nodename: 'node-1', clusterName: 'example' },
      ...{ listenAddress: { host: '0.0.0.0', port: 0 }, advertiseIp: () => '10.0.0.2' },
      ...{ publicAddresses: [], labels: { env: 'test' }, commandLabels: [], acceptEnv: [] },
      ...{ permitUserEnvironment: false, admitLockedAccounts: false, programPath: ['/x/teleport'] },
      ...wish.config,
    },
    ...wish.deps,
  });
  const tell: Bench['tell'] = (...facts) => {
    for (const [stream, fact] of facts) state.tell(recordedAt(state.newest + 1, stream, fact, world.now()));
  };
  return {
    ...{ service, state, link, beats, told, order, world, identity, sink, gauges, counters },
    ...{ strangers, spreads, standing, listening, tell },
  };
}

export const cluster = (options: object = {}): readonly (readonly [StreamName, Fact])[] => [
  [
    clusterStream,
    {
      type: 'cluster.created',
      data: { clusterName: 'example', clusterId: hostId, secondFactor: 'otp' },
    },
  ],
  [authorityStream('user'), created('user', userCa)],
  [authorityStream('host'), created('host', hostCa)],
  adminRole('created', options),
  userCreated('alice'),
];

export type Begun = Bench & { readonly running: Running };
/** A node of a cluster with the user alice, who may log in as root. It is stopped after the test. */
export async function begin(wish: Wish = {}): Promise<Begun> {
  const made = bench(wish);
  const starting = made.service.start();
  await turn();
  made.tell(...cluster(wish.options));
  const running = await starting;
  ends.push(() => running.stop(0));
  return { ...made, running };
}

export interface Login {
  readonly username?: string;
  readonly login?: string;
  readonly ca?: typeof userCa;
  /** Until the certificate ends. */
  readonly ttlSeconds?: number;
  readonly serial?: bigint;
}

/** A connection to the node: the client's end of it. */
export function dial(one: Bench): ReturnType<typeof memoryLine>[0] {
  const [near, far] = memoryLine();
  near.once('close', () => far.destroy());
  far.once('close', () => near.destroy());
  const [server] = one.listening;
  if (server === undefined) throw new Error('nothing listens');
  server.server.emit('connection', far);
  return near;
}

export function logIn(one: Bench, wish: Login = {}, stream = dial(one)): Promise<SshClient> {
  const key = generateEd25519();
  const { username = 'alice', ca = userCa, login = 'root', ttlSeconds = 3600, serial } = wish;
  const certificate = fromAuthorizedKeyLine(
    issueUserSshCertificate({
      ...{ publicKey: publicKeyOf(key), ca, username, principals: ['root', 'deploy'], roles: ['admin'] },
      ...{ traits: {}, now: one.world.now(), ttlSeconds, format: 'standard', routeToCluster: '' },
      ...(serial === undefined ? {} : { serial }),
      permit: { pty: true, portForwarding: true, agentForwarding: true },
    }),
  );
  return connectSsh({
    ...{ target: { stream }, username: login, identities: [keyIdentity(key, certificate)] },
    ...{ hostAuthorities: () => [publicKeyOf(hostCa).blob], hostPrincipals: ['node-1'], hostRole: 'Node' },
    now: () => secondsOf(one.world.now()),
  });
}

/** What the diagnostics of a node say of it. */
export const diagnosed = ({ running }: Begun): Record<string, unknown> | undefined => running.diagnostics?.();
export const until = (what: () => void): Promise<void> => vi.waitFor(what, { timeout: 10_000 });
