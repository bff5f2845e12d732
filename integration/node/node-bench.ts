import { type KeyObject, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthClient } from '../../src/api/client.ts';
import { heartbeat } from '../../src/api/operations/host.ts';
import { recordingMetrics, recordingSink } from '../../src/api/testing.ts';
import { CodedError } from '../../src/base/errors.ts';
import { type HostPort, noStrangers, type Running } from '../../src/base/service.ts';
import { realWorld } from '../../src/base/world.ts';
import type { AuditEvent } from '../../src/domain/audit-event.ts';
import { type RoleSpec, roleSpec } from '../../src/domain/role-spec.ts';
import type { HostRecord, SystemRole } from '../../src/domain/host-info.ts';
import {
  authorityStream,
  clusterStream,
  hostStream,
  roleStream,
  userStream,
} from '../../src/domain/streams.ts';
import { expectInCatalogue } from '../../src/domain/testing.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Fact, StreamName } from '../../src/log/event.ts';
import { memoryLog } from '../../src/log/memory-log.ts';
import type { NodeConfig } from '../../src/node/node-config.ts';
import type { NodeDeps } from '../../src/node/node-deps.ts';
import { createNodeService } from '../../src/node/service.ts';
import { replaceableIdentity } from '../../src/pki/current-identity.ts';
import { issueHostSshCertificate } from '../../src/pki/host-certificate.ts';
import { generateEd25519, privateKeyPem } from '../../src/pki/key-pair.ts';
import { encodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { fromAuthorizedKeyLine, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { issueUserSshCertificate, type UserCertificateRequest } from '../../src/pki/user-certificate.ts';
import { connectSsh, keyIdentity, type SshClient } from '../../src/ssh/cert-client.ts';
import { clientSigner, type SignClient } from '../../src/ssh/signed-client.ts';
import { type Ran, run } from '../harness/run-program.ts';
import { openResolver, programPath } from '../cluster/own-resolver.ts';
import { plainListeners } from '../harness/plain-listeners.ts';

/** A real node over a log in memory, and what it takes to come in with stock clients. */
export interface NodeBench {
  readonly directory: string;
  readonly events: AuditEvent[];
  readonly heartbeats: HostRecord[];
  readonly sink: ReturnType<typeof recordingSink>;
  readonly log: ClusterLog;
  readonly hostId: string;
  /** A host that signs for clients as proxies do; `isMember`: and is known to the cluster in that role. */
  signer(role: SystemRole, isMember: boolean): Promise<SignClient>;
  port(): number;
  running(): Running;
  /** Auth does not answer from now on, or does again. */
  setAway(reason: string | undefined): void;
  /** The audit takes nothing from now on, or does again. */
  setAuditFull(full: boolean): void;
  append(stream: StreamName, ...facts: Fact[]): Promise<void>;
  setRole(spec: RoleWish): Promise<void>;
  /** Writes a key and certificate of a user; returns the path of an ssh_config that uses it. */
  person(username: string, wish?: Partial<UserCertificateRequest>): string;
  /** Logs in with our own client. */
  connect(
    username: string,
    login: string,
    wish?: Partial<UserCertificateRequest>,
    stream?: Duplex,
  ): Promise<SshClient>;
  /**
   * Runs a shell command line; `$SSH`, `$SCP`, `$SFTP` are the clients with the configuration of `config`.
   */
  sh(config: string, command: string, input?: string | Buffer): Promise<Ran>;
  /** The events of one type so far, oldest first. */
  told(event: string): AuditEvent[];
  stop(): Promise<void>;
}

export interface RoleWish {
  readonly name: string;
  readonly options?: object;
  readonly allow?: object;
  readonly deny?: object;
}

export const clusterName = 'example';
const lineOf = (key: KeyObject): string => toAuthorizedKeyLine(publicKeyOf(key).blob);

/** @param outbox where the events go instead of `events`. */
export async function startNode(
  wish: Partial<NodeConfig> & { logins?: string[] } = {},
  outbox?: NodeDeps['outbox'],
): Promise<NodeBench> {
  const { logins = ['root'], ...config } = wish;
  const directory = mkdtempSync(join(tmpdir(), 'node-test-'));
  const authorities = { user: generateEd25519(), host: generateEd25519() };
  const log = memoryLog();
  const append = async (stream: StreamName, ...facts: Fact[]): Promise<void> => {
    const cause = { at: realWorld.now(), actor: 'admin', requestId: randomUUID() };
    await log.state.append([{ stream, expected: await log.state.revision(stream), facts }], cause);
  };
  const setRole = async (spec: RoleWish): Promise<void> => {
    const role: RoleSpec = roleSpec.parse({ options: {}, allow: {}, deny: {}, ...spec });
    const known = (await log.state.revision(roleStream(role.name))) > 0;
    await append(roleStream(role.name), { type: known ? 'role.updated' : 'role.created', data: { role } });
  };
  await append(clusterStream, {
    type: 'cluster.created',
    data: { clusterName, clusterId: randomUUID(), secondFactor: 'off' },
  });
  for (const type of ['user', 'host'] as const)
    await append(authorityStream(type), {
      type: 'authority.created',
      data: {
        type,
        clusterName,
        keys: [
          {
            keyId: `${type}-1`,
            sshPublicKey: lineOf(authorities[type]),
            tlsCertificatePem: '',
            activeFrom: realWorld.now(),
          },
        ],
      },
    });
  await setRole({
    name: 'admin',
    options: { forwardAgent: true },
    allow: { logins, nodeLabels: { '*': ['*'] } },
  });
  await append(userStream('alice'), {
    type: 'user.created',
    data: { username: 'alice', roles: ['admin'], traits: {} },
  });

  const [hostId, hostKey] = [randomUUID(), generateEd25519()];
  const nodename = 'node1';
  const events: AuditEvent[] = [];
  const heartbeats: HostRecord[] = [];
  const [sink, names] = [recordingSink(), openResolver()];
  let away: string | undefined;
  let full = false;
  const followed = (partition: 'state' | 'presence'): AuthClient['state'] =>
    Object.assign(Object.create(log[partition]) as ClusterLog['state'], {
      follow: log[partition].follow.bind(log[partition]),
      snapshot: log[partition].snapshot.bind(log[partition]),
      connection: () =>
        away === undefined
          ? ({ status: 'connected' } as const)
          : ({ status: 'away', since: 0, reason: away } as const),
      ageMs: () => 0,
      headSeen: () => 0,
    });
  const hostCertificateOf = (
    host: { readonly hostId: string; readonly nodename: string; readonly role: string },
    key: KeyObject,
  ): string =>
    issueHostSshCertificate({
      publicKey: publicKeyOf(key),
      ca: authorities.host,
      clusterName,
      additionalPrincipals: [],
      now: realWorld.now(),
      ...host,
    });
  let bound: HostPort = { host: '', port: 0 };
  const service = createNodeService({
    adopted: () => ['', ''],
    onSpread: () => undefined,
    identity: replaceableIdentity({
      hostId,
      role: 'Node',
      clusterName,
      privateKeyPem: privateKeyPem(hostKey),
      sshCertificate: hostCertificateOf({ hostId, nodename, role: 'Node' }, hostKey),
      tlsCertificatePem: '',
      tlsCasPem: [],
      sshHostCas: [lineOf(authorities.host)],
    }),
    renewalTrouble: () => undefined,
    auth: {
      state: followed('state'),
      call: ((operation, input) => {
        if (operation.name !== heartbeat.name) throw new Error(`not expected: ${operation.name}`);
        heartbeats.push((input as { host: HostRecord }).host);
        return Promise.resolve({});
      }) as AuthClient['call'],
    },
    outbox: outbox ?? {
      emit: (event) => {
        if (full) return Promise.reject(new CodedError('no_space', 'the disk is full'));
        events.push(event);
        return Promise.resolve();
      },
      pending: () => 0,
      disk: () => ({ status: 'writable' }),
      trouble: () => undefined,
    },
    world: realWorld,
    sink,
    metrics: recordingMetrics(),
    listeners: {
      strangers: noStrangers,
      listen: async (...args) => (bound = await plainListeners.listen(...args)),
    },
    lookUpName: names.lookUpName,
    config: {
      hostId,
      nodename,
      clusterName,
      listenAddress: { host: '127.0.0.1', port: 0 },
      publicAddresses: [],
      labels: { env: 'test' },
      commandLabels: [],
      permitUserEnvironment: false,
      acceptEnv: [],
      admitLockedAccounts: false,
      programPath,
      ...config,
    },
  });
  const running = await service.start();
  writeFileSync(join(directory, 'known_hosts'), `@cert-authority * ${lineOf(authorities.host)}\n`);

  const certificateOf = (username: string, key: KeyObject, wanted: Partial<UserCertificateRequest>): string =>
    issueUserSshCertificate({
      publicKey: publicKeyOf(key),
      ca: authorities.user,
      username,
      principals: logins,
      roles: ['admin'],
      traits: {},
      now: realWorld.now(),
      ttlSeconds: 3600,
      format: 'standard',
      permit: { pty: true, portForwarding: true, agentForwarding: true },
      routeToCluster: '',
      ...wanted,
    });
  const person = (username: string, wanted: Partial<UserCertificateRequest> = {}): string => {
    const home = mkdtempSync(join(directory, `${username}-`));
    const key = generateEd25519();
    const certificate = certificateOf(username, key, wanted);
    writeFileSync(join(home, 'key'), encodeOpensshPrivateKey(key, username), { mode: 0o600 });
    writeFileSync(join(home, 'key-cert.pub'), `${certificate}\n`);
    const path = join(home, 'config');
    writeFileSync(
      path,
      `Host node1
  HostName 127.0.0.1
  HostKeyAlias node1
  Port ${bound.port}
  IdentityFile ${join(home, 'key')}
  CertificateFile ${join(home, 'key-cert.pub')}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(directory, 'known_hosts')}
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
`,
    );
    return path;
  };
  mkdirSync(join(directory, 'work'));
  return {
    directory,
    events,
    heartbeats,
    sink,
    log,
    hostId,
    signer: async (role, isMember) => {
      const [id, key] = [randomUUID(), generateEd25519()];
      const certificate = hostCertificateOf({ hostId: id, role, nodename: 'p1' }, key);
      const data = { ...heartbeats[0], hostId: id, role, nodename: 'p1' } as HostRecord;
      if (isMember) await append(hostStream(id), { type: 'host.joined', data: { host: data } });
      return clientSigner(key, fromAuthorizedKeyLine(certificate));
    },
    port: () => bound.port,
    running: () => running,
    setAway: (reason) => {
      away = reason;
    },
    setAuditFull: (value) => {
      full = value;
    },
    append,
    setRole,
    person,
    connect: (username, login, wanted = {}, stream) => {
      const key = generateEd25519();
      const certificate = fromAuthorizedKeyLine(certificateOf(username, key, wanted));
      return connectSsh({
        target: stream === undefined ? bound : { stream },
        username: login,
        identities: [keyIdentity(key, certificate)],
        hostAuthorities: () => [publicKeyOf(authorities.host).blob],
        hostPrincipals: [nodename],
        now: () => BigInt(Math.floor(Date.now() / 1000)),
      });
    },
    sh: (config, command, input) =>
      run('/bin/sh', ['-c', command], {
        cwd: join(directory, 'work'),
        env: { ...process.env, SSH: `ssh -F ${config}`, SCP: `scp -F ${config}`, SFTP: `sftp -F ${config}` },
        ...(input === undefined ? {} : { input }),
      }),
    told: (event) => events.filter((one) => one.event === event),
    stop: async () => {
      await running.stop(0);
      names.close();
      await log.close();
      rmSync(directory, { recursive: true });
      for (const event of events) expectInCatalogue(event);
    },
  };
}
