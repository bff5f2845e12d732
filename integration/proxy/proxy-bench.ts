import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../src/base/errors.ts';
import { type AuditOutbox, openAuditOutbox } from '../../src/api/audit-outbox.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { searchAudit } from '../../src/api/operations/audit.ts';
import { acceptInvite } from '../../src/api/operations/invite.ts';
import { createUser, logIn } from '../../src/api/operations/user.ts';
import { recordingSink } from '../../src/api/testing.ts';
import {
  type HostPort,
  type Listeners,
  type Metrics,
  noStrangers,
  type Running,
} from '../../src/base/service.ts';
import { realWorld } from '../../src/base/world.ts';
import type { AuditEvent } from '../../src/domain/audit-event.ts';
import { replaceableIdentity } from '../../src/pki/current-identity.ts';
import { encodeOpensshPrivateKey } from '../../src/pki/openssh-private-key.ts';
import { privateKeyFromPem } from '../../src/pki/key-pair.ts';
import { fromAuthorizedKeyLine, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import type { ProxyConfig } from '../../src/proxy/proxy-deps.ts';
import { createProxyService } from '../../src/proxy/service.ts';
import { connectSsh, keyIdentity, type Identity, type SshClient } from '../../src/ssh/cert-client.ts';
import {
  type AuthBench,
  type BadLink,
  badLinkTo,
  clientOf,
  type Material,
  newKey,
  startAuth,
} from '../harness/auth-bench.ts';
import { until } from '../harness/run-program.ts';
import { type EchoNode, listenOn, now, startEchoNode } from '../harness/echo-node.ts';
import { openResolver } from '../cluster/own-resolver.ts';

export const password = 'correct horse battery';
const local = '127.0.0.1';

/** A person with what a login gave. */
export interface Person extends Material {
  readonly username: string;
  readonly identity: Identity;
  /** authorized_keys lines of the host authority. */
  readonly hostAuthorities: readonly string[];
  /** For `ssh -F`: key, certificate, trusted authority; nothing of the machine's own. */
  readonly sshConfig: string;
}

/** A real proxy on a real auth server; the link between them can be cut. */
export interface ProxyBench {
  readonly auth: AuthBench;
  readonly admin: AuthClient;
  readonly link: BadLink;
  readonly directory: string;
  readonly running: Running;
  readonly ssh: HostPort;
  readonly web: HostPort;
  readonly sink: ReturnType<typeof recordingSink>;
  readonly gauges: ReadonlyMap<string, number>;
  /** Sockets of the proxy's own listeners that are open now. */
  openSockets(): number;
  invite(username: string, logins?: readonly string[]): Promise<string>;
  /** Invites, accepts and logs in. */
  person(username: string, logins?: readonly string[]): Promise<Person>;
  connect(person: Person, wish?: { identity?: Identity; username?: string }): Promise<SshClient>;
  echoNode(nodename: string, options?: { readonly asBefore: boolean }): Promise<EchoNode>;
  /** Audit events of a type, oldest first. */
  told(event: string): Promise<AuditEvent[]>;
  stop(): Promise<void>;
}

export async function startProxy(
  wish: Partial<ProxyConfig> & { secondFactor?: 'off' | 'otp' } = {},
): Promise<ProxyBench> {
  const { secondFactor = 'off', ...config } = wish;
  const directory = mkdtempSync(join(tmpdir(), 'proxy-test-'));
  const auth = await startAuth({ secondFactor });
  const link = await badLinkTo(auth.address());
  const sink = recordingSink();
  const closers: (() => Promise<void> | void)[] = [];
  const hostId = randomUUID();
  const identity = await auth.service.issueHostIdentity({
    hostId,
    nodename: 'proxy1',
    role: 'Proxy',
    additionalPrincipals: ['localhost', local],
  });
  const client = clientOf([link.address], identity, { silentMs: 4_000 });
  const outbox: AuditOutbox = await openAuditOutbox({
    directory: join(directory, 'outbox'),
    client,
    sink,
    world: realWorld,
    maxPending: 100,
  });
  const sockets = new Set<Socket>();
  const bound = new Map<string, HostPort>();
  const listeners: Listeners = {
    strangers: noStrangers,
    listen: async (name, server, address) => {
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      const port = await listenOn(server, address.port);
      bound.set(name, { host: local, port });
      return { host: local, port };
    },
  };
  const gauges = new Map<string, number>();
  const metrics: Metrics = {
    add: (name, value) => void gauges.set(name, (gauges.get(name) ?? 0) + value),
    set: (name, value) => void gauges.set(name, value),
    observe: () => undefined,
  };
  const stopBelow = async (): Promise<void> => {
    resolver.close();
    for (const close of closers.reverse()) await close();
    await outbox.close();
    client.close();
    await link.close();
    await auth.stop();
    await auth.log.close();
    rmSync(directory, { recursive: true, force: true });
  };
  const resolver = openResolver();
  const service = createProxyService({
    adopted: () => ['', ''],
    onSpread: () => undefined,
    openRootEntry: () => ({
      dial: () => Promise.reject(new CodedError('unavailable', 'there is no root')),
      forget: () => undefined,
    }),
    identity: replaceableIdentity(identity),
    renewalTrouble: () => undefined,
    auth: client,
    outbox,
    world: realWorld,
    sink,
    metrics,
    listeners,
    lookUpName: resolver.lookUpName,
    config: {
      hostId,
      nodename: 'proxy1',
      clusterName: 'example',
      sshListenAddress: { host: local, port: 0 },
      webListenAddress: { host: local, port: 0 },
      publicAddresses: [],
      sshPublicAddresses: [],
      advertiseIp: () => local,
      authServers: [link.address],
      web: { speaks: 'tls', directory, files: [] },
      ...config,
    },
  });
  const running = await service.start().catch(async (e: unknown) => {
    await stopBelow();
    throw e;
  });
  const adminIdentity = await auth.service.issueHostIdentity({
    hostId: randomUUID(),
    nodename: 'admin',
    role: 'Admin',
    additionalPrincipals: [],
  });
  const admin = clientOf([auth.address()], adminIdentity);
  const ssh = bound.get('proxy:ssh') ?? { host: '', port: 0 };
  let stopped: Promise<void> | undefined;

  const bench: ProxyBench = {
    auth,
    admin,
    link,
    directory,
    running,
    ssh,
    web: bound.get('proxy:web') ?? { host: '', port: 0 },
    sink,
    gauges,
    openSockets: () => sockets.size,
    invite: async (username, logins = ['root']) =>
      (
        await admin.call(createUser, {
          username,
          roles: ['admin'],
          traits: { logins: [...logins] },
          inviteTtlSeconds: 3600,
        })
      ).inviteToken,
    person: async (username, logins) => {
      const token = await bench.invite(username, logins);
      await client.call(acceptInvite, { token, password, otp: '', clientAddress: '192.0.2.1:1' });
      const { privateKeyPem, publicKey } = newKey();
      const answer = await client.call(logIn, {
        username,
        password,
        otp: '',
        publicKey: toAuthorizedKeyLine(publicKey.blob),
        ttlSeconds: 3600,
        clientAddress: '192.0.2.1:1',
      });
      const material = {
        username,
        privateKeyPem,
        tlsCertificatePem: answer.tlsCertificatePem,
        tlsCasPem: answer.hostSigners[0]?.tlsCertificatesPem ?? [],
        hostAuthorities: answer.hostSigners[0]?.checkingKeys ?? [],
        identity: keyIdentity(privateKeyFromPem(privateKeyPem), fromAuthorizedKeyLine(answer.sshCertificate)),
      };
      return { ...material, sshConfig: writeSshFiles(directory, material, answer.sshCertificate) };
    },
    connect: (person, { identity: shown = person.identity, username = 'root' } = {}) =>
      connectSsh({
        target: ssh,
        username,
        identities: [shown],
        hostAuthorities: () => person.hostAuthorities.map(fromAuthorizedKeyLine),
        hostPrincipals: ['localhost'],
        now,
      }),
    echoNode: async (nodename, options) => {
      const node = await startEchoNode(auth, nodename, options);
      closers.push(() => node.stop());
      return node;
    },
    told: async (event) => {
      const { events } = await admin.call(searchAudit, {
        from: '2000-01-01T00:00:00.000Z',
        to: '2100-01-01T00:00:00.000Z',
        types: [event],
      });
      return events;
    },
    stop: () =>
      (stopped ??= (async () => {
        await running.stop(0);
        admin.close();
        await stopBelow();
      })()),
  };
  return bench;
}

function writeSshFiles(
  directory: string,
  person: { username: string; privateKeyPem: string; hostAuthorities: readonly string[] },
  certificate: string,
): string {
  const path = (name: string): string => join(directory, `${person.username}${name}`);
  writeFileSync(path(''), encodeOpensshPrivateKey(privateKeyFromPem(person.privateKeyPem), ''), {
    mode: 0o600,
  });
  writeFileSync(path('-cert.pub'), `${certificate}\n`);
  writeFileSync(
    path('_known_hosts'),
    person.hostAuthorities.map((line) => `@cert-authority * ${line}\n`).join(''),
  );
  writeFileSync(
    path('_config'),
    `Host *
  User root
  IdentityFile ${path('')}
  CertificateFile ${path('-cert.pub')}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${path('_known_hosts')}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
`,
  );
  return path('_config');
}

/** Asks until it does not throw any more. */
export const eventually = <T>(what: string, ask: () => Promise<T> | T): Promise<{ value: T }> =>
  until(what, async () => {
    try {
      return { value: await ask() };
    } catch {
      return undefined; // not yet
    }
  });
