import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { announceHost, type Announcement } from '../api/announce-host.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import { isWildcard } from '../base/addresses.ts';
import { endingOnce } from '../base/ending.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import {
  formatHostPort,
  type HostPort,
  type Listeners,
  type Metrics,
  type Running,
  type Service,
} from '../base/service.ts';
import { version } from '../base/version.ts';
import type { World } from '../base/world.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { commandValueBytes } from '../domain/label-limits.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { privateKeyFromPem } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { acceptedVariables } from '../ssh/accepted-variables.ts';
import { defaultAlgorithms } from '../ssh/algorithms.ts';
import { createSshServer, type SshServer } from '../ssh/cert-server.ts';
import { loadLibc } from '../ssh/libc.ts';
import { parseLoginDefs } from '../ssh/login-defs.ts';
import { Accounts } from '../ssh/passwd.ts';
import { type LabelRunner, openCommandLabels } from './command-labels.ts';
import { decideAccess } from './decide-access.ts';
import { doubtByViews } from './doubt-by-views.ts';
import { findFilePrograms } from './file-programs.ts';
import { NodeAudit } from './node-audit.ts';
import { type NodeViews, openNodeViews, userAuthorityBlobs, webProxyAddress } from './node-views.ts';
import { RefusedLogins } from './refused-logins.ts';
import { ServedConnection } from './served-connection.ts';
import type { NodeConfig } from './node-config.ts';
import type { NodeContext } from './session-context.ts';

export interface NodeDeps {
  readonly identity: HostIdentity;
  readonly auth: Pick<AuthClient, 'call' | 'state'>;
  readonly outbox: Pick<AuditOutbox, 'emit' | 'trouble' | 'pending'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly config: NodeConfig;
}

/** The SSH node: sessions, copies and forwarded ports on this machine. */
export const createNodeService = (deps: NodeDeps): Service => ({
  name: 'node',
  start: async (stopping) => {
    const node = new Node(deps, await openNodeViews(deps.auth));
    try {
      return await node.start(stopping);
    } catch (e) {
      await node.stop(0);
      throw e;
    }
  },
});

class Node {
  readonly #deps: NodeDeps;
  readonly #views: NodeViews;
  readonly #audit: NodeAudit;
  readonly #refused: RefusedLogins;
  readonly #listener: Server;
  readonly #served = new Set<ServedConnection>();
  #unsubscribe: () => void = () => undefined;
  #ssh: SshServer | undefined;
  #labels: LabelRunner | undefined;
  #announcement: Announcement | undefined;
  #bound: HostPort;
  #finish: () => void = () => undefined;

  constructor(deps: NodeDeps, views: NodeViews) {
    this.#deps = deps;
    this.#views = views;
    const { config, outbox, world, sink, listeners } = deps;
    const { hostId, nodename } = config;
    this.#bound = config.listenAddress;
    this.#audit = new NodeAudit({ outbox, world, sink, hostId, nodename, address: () => this.#address() });
    this.#refused = new RefusedLogins(this.#audit, world);
    this.#listener = createServer({ noDelay: true }, (socket) => {
      // Until somebody serves it, a socket that breaks is nobody's loss.
      socket.on('error', () => socket.destroy());
      if (this.#ssh === undefined) socket.destroy();
      else
        this.#ssh.accept(socket, {
          doubtAboutClient: doubtByViews(views, config, world),
          strangers: listeners.strangers,
        });
    });
  }

  async start(stopping: AbortSignal | undefined): Promise<Running> {
    const { config, auth, sink, listeners, world } = this.#deps;
    const changed = (): void => {
      this.#announcement?.renew();
      this.#reconsider();
    };
    const names = config.commandLabels.map(({ name }) => name);
    this.#labels = await openCommandLabels(
      config.commandLabels,
      changed,
      commandValueBytes(config.labels, names),
    );
    const context = await this.#context();
    this.#ssh = this.#server(context);
    this.#bound = await listeners.listen('node', this.#listener, config.listenAddress);
    this.#watch();
    const host = (): HostInfo => this.#info();
    this.#announcement = announceHost({
      auth,
      sink,
      host,
      random: Math.random,
      now: () => world.now(),
      stopping,
    });
    await this.#announcement.first;
    const done = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    return {
      done,
      trouble: () => this.#trouble(context),
      diagnostics: () => this.#report(),
      stop: this.stop,
    };
  }

  readonly stop = endingOnce(async ({ over }) => {
    await this.#drain(over);
    await this.#announcement?.stop();
    await this.#labels?.stop();
    this.#unsubscribe();
    this.#refused.tellCount();
    await this.#audit.settled();
    this.#views.close();
    this.#finish();
  });

  /**
   * Waits until every socket that was accepted has closed, also of those who were about to log in when it began, and
   * their programs have ended. When the time is over it ends what is left.
   */
  async #drain(over: Promise<void>): Promise<void> {
    const closed = closeListener(this.#listener);
    await Promise.race([closed.then(() => this.#allEnded()), over]);
    this.#ssh?.drain();
    await this.#ssh?.closeConnections('the server is stopping');
    await this.#allEnded();
    await closed;
  }

  async #allEnded(): Promise<void> {
    while (this.#served.size > 0) await Promise.all([...this.#served].map(({ ended }) => ended));
  }

  async #context(): Promise<NodeContext> {
    const { config, world, sink } = this.#deps;
    const libc = await loadLibc();
    if (libc.status === 'unavailable') sink.warn(`${libc.reason}; sessions without a terminal work`);
    else libc.libc.keepDescriptorsFromChildren();
    if (process.getuid?.() !== 0)
      sink.warn('this node does not run as root: only its own account can log in here');
    return {
      world,
      sink,
      libc,
      audit: this.#audit,
      accounts: new Accounts(),
      filePrograms: findFilePrograms(config.programPath, config.ownFilePrograms ?? false),
      loginDefs: parseLoginDefs(await readFile('/etc/login.defs', 'utf8').catch(() => '')), // not everywhere there is one
      hostId: config.hostId,
      clusterName: config.clusterName,
      acceptsVariable: acceptedVariables(config.acceptEnv),
      permitUserEnvironment: config.permitUserEnvironment,
      admitsLockedAccounts: config.admitLockedAccounts,
      webProxyAddress: () => webProxyAddress(this.#views.hosts.state()),
      labels: () => this.#currentLabels(),
    };
  }

  #server(context: NodeContext): SshServer {
    const { identity, world, sink, metrics, config } = this.#deps;
    const decide = (certificate: Parameters<typeof decideAccess>[1]['certificate'], login: string) =>
      decideAccess(this.#views, { certificate, login, labels: this.#currentLabels() });
    return createSshServer(
      {
        hostKeys: [
          {
            privateKey: privateKeyFromPem(identity.privateKeyPem),
            certificate: fromAuthorizedKeyLine(identity.sshCertificate),
          },
        ],
        userAuthorities: () => userAuthorityBlobs(this.#views.authorities.state()),
        now: () => BigInt(Math.floor(Date.parse(world.now()) / 1000)),
        authorize: (certificate, login) => {
          decide(certificate, login);
        },
        onAuthFailure: (failure) => {
          metrics.add('node_ssh_logins_refused_total', 1);
          this.#refused.record(failure);
        },
        version,
        sink,
        algorithms: config.sshAlgorithms ?? defaultAlgorithms,
      },
      (connection) => {
        const { certificate, username } = connection;
        const again = () => decide(certificate, username);
        const served = new ServedConnection({
          context,
          connection,
          decide: again,
          grant: again(),
        });
        this.#served.add(served);
        metrics.add('node_ssh_connections_total', 1);
        metrics.set('node_ssh_connections', this.#served.size);
        void served.ended.then(() => {
          this.#served.delete(served);
          metrics.set('node_ssh_connections', this.#served.size);
        });
        return served.handlers;
      },
    );
  }

  /** Follows what can take access away from those who are connected. */
  #watch(): void {
    const { users, roles, authorities } = this.#views;
    const again = {
      next: () => {
        this.#reconsider();
      },
      error: () => undefined, // `trouble` says that the view has failed
    };
    const subscriptions = [
      users.changes.subscribe(again),
      roles.changes.subscribe(again),
      authorities.changes.subscribe(again),
    ];
    this.#unsubscribe = () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    };
  }

  #reconsider(): void {
    for (const served of this.#served) served.reconsider();
  }

  #currentLabels(): Readonly<Record<string, string>> {
    return { ...this.#deps.config.labels, ...this.#labels?.values() };
  }

  #address(): string {
    const { advertiseIp } = this.#deps.config;
    const { host, port } = this.#bound;
    return formatHostPort({ host: isWildcard(host) ? (advertiseIp ?? host) : host, port });
  }

  #info(): HostInfo {
    const { hostId, nodename, publicAddresses } = this.#deps.config;
    return {
      hostId,
      role: 'Node',
      nodename,
      address: this.#address(),
      publicAddress: publicAddresses[0] ?? '',
      sshPublicAddress: '',
      labels: { ...this.#currentLabels() },
      version,
    };
  }

  #report(): Record<string, unknown> {
    const served = [...this.#served].map((one) => one.report());
    const sum = (count: (one: (typeof served)[number]) => number): number =>
      served.reduce((total, one) => total + count(one), 0);
    return {
      connections: served.length,
      sessions: sum((one) => one.sessions),
      forwards: sum((one) => one.forwards),
      oldestSeconds: Math.max(0, ...served.map((one) => one.ageSeconds)),
      auditWaiting: this.#deps.outbox.pending(),
      auth: this.#deps.auth.state.connection().status,
    };
  }

  /** What `/readyz` says of this node. */
  #trouble({ libc }: NodeContext): string | undefined {
    const { auth, outbox } = this.#deps;
    const failure = this.#views.failure();
    if (failure !== undefined)
      return `what this node knows of the cluster stands still: ${messageOf(failure)}`;
    const link = auth.state.connection();
    if (link.status === 'away') return `auth is away (${link.reason}): decides by what was last known`;
    if (libc.status === 'unavailable') return libc.reason;
    return outbox.trouble() ?? this.#announcement?.trouble();
  }
}

const closeListener = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    // Also when it does not listen any more: then it is about those who are connected.
    server.close(() => {
      resolve();
    });
  });
