import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { announceHost, type Announcement } from '../api/announce-host.ts';
import { absenceOf } from '../api/absence.ts';
import { randomFraction } from '../base/backoff.ts';
import { isWildcard } from '../base/addresses.ts';
import { second } from '../base/duration.ts';
import { endingOnce } from '../base/ending.ts';
import { formatHostPort, type HostPort, type Running, type Service } from '../base/service.ts';
import { version } from '../base/version.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { commandValueBytes } from '../domain/label-limits.ts';
import { acceptedVariables } from '../machine/accepted-variables.ts';
import type { SshServer } from '../ssh/cert-server.ts';
import { type LibcLoad, loadLibc } from '../machine/libc.ts';
import { hostKeysOf } from '../ssh/host-keys.ts';
import { parseLoginDefs } from '../machine/login-defs.ts';
import { Accounts } from '../machine/passwd.ts';
import { ProgramStarter } from '../machine/program-starter.ts';
import { closeListener } from './close-listener.ts';
import { type LabelRunner, openCommandLabels } from './command-labels.ts';
import { doubtByViews } from './doubt-by-views.ts';
import { findFilePrograms } from './file-programs.ts';
import { NodeAudit } from './node-audit.ts';
import { diskTrouble, nodeCondition } from './node-condition.ts';
import type { NodeDeps } from './node-deps.ts';
import type { LiveSessionList } from './live-sessions.ts';
import { nodeServer } from './node-server.ts';
import { type NodeViews, openNodeViews, webProxyAddress } from './node-views.ts';
import { openLiveSessions } from './open-live-sessions.ts';
import { paced } from './paced.ts';
import { SharedSessions } from './joining/shared-terminal.ts';
import { openRecordings, type Recordings } from './recording/open-recordings.ts';
import { RefusedLogins } from './refused-logins.ts';
import type { ServedConnection } from './served-connection.ts';
import type { NodeContext } from './session-context.ts';
import { acceptTunnelled, type Tunnelled } from './tunnelled.ts';

/** The SSH node: sessions, copies and forwarded ports on this machine. */
export function createNodeService(deps: NodeDeps): Service {
  let begun: Node | undefined;
  return {
    name: 'node',
    start: async (stopping) => {
      const node = new Node(deps, await openNodeViews(deps.auth, deps.sink));
      begun = node;
      try {
        return await node.start(stopping);
      } catch (e) {
        await node.stop(0);
        throw e;
      }
    },
    waitsFor: () => deps.agents?.trouble() ?? absenceOf(deps.auth) ?? begun?.notAnnounced(),
  };
}

/**
 * Auth makes one fact of the reports of many hosts within some seconds: reporting more often would change
 * nothing.
 */
const measuredToldEveryMs = 5 * second;

class Node {
  readonly #deps: NodeDeps;
  readonly #views: NodeViews;
  readonly #audit: NodeAudit;
  readonly #refused: RefusedLogins;
  readonly #recordings: Recordings;
  readonly #listener = createServer({ noDelay: true });
  readonly #served = new Set<ServedConnection>();
  #tunnelled: Tunnelled | undefined;
  readonly #ending = new AbortController();
  #unsubscribe: () => void = () => undefined;
  #ssh: SshServer | undefined;
  #labels: LabelRunner | undefined;
  #announcement: Announcement | undefined;
  /**
   * The output of programs may change each second. It counts here at once; a list of nodes may show it a
   * little later.
   */
  readonly #telling = paced(
    () => this.#announcement?.renew(),
    measuredToldEveryMs,
    () => this.#deps.world.monotonic(),
  );
  readonly #live: LiveSessionList;
  #bound: HostPort;
  #finish: () => void = () => undefined;

  constructor(deps: NodeDeps, views: NodeViews) {
    this.#deps = deps;
    this.#views = views;
    const { config, outbox, world, sink } = deps;
    const { hostId, nodename } = config;
    this.#bound = config.listenAddress;
    this.#audit = new NodeAudit({ outbox, world, sink, hostId, nodename, address: () => this.#address() });
    this.#refused = new RefusedLogins(this.#audit, world, sink);
    this.#live = openLiveSessions({ config, world, sink }, () => {
      this.#telling.ask();
    });
    this.#recordings = openRecordings(deps, this.#audit, () => views.recording.state());
  }

  async start(stopping: AbortSignal | undefined): Promise<Running> {
    const { config, auth, sink, listeners, world, agents } = this.#deps;
    const changed = (): void => {
      this.#telling.ask();
      this.#reconsider();
    };
    const names = config.commandLabels.map(({ name }) => name);
    const libc = await this.#loadLibc();
    const starter = new ProgramStarter(libc.status === 'loaded' ? libc.libc : undefined);
    this.#labels = await openCommandLabels(
      config.commandLabels,
      changed,
      starter,
      commandValueBytes(config.labels, names),
    );
    const context = await this.#context(libc, starter);
    this.#serve(context);
    this.#watch();
    if (agents === undefined)
      this.#bound = await listeners.listen('node', this.#listener, config.listenAddress);
    else await agents.first(stopping ?? this.#ending.signal);
    const host = (): HostInfo => this.#info();
    this.#announcement = announceHost({
      auth,
      sink,
      host,
      adopted: () => this.#deps.adopted(this.#views.authorities.state()),
      renewalTrouble: this.#deps.renewalTrouble,
      proxies: agents && (() => agents.held()),
      sessions: () => this.#live.report(),
      onSpread: this.#deps.onSpread,
      random: () => randomFraction(world),
      now: () => world.now(),
      leavesOnStop: config.leavesOnStop,
      stopping,
    });
    agents?.onChange(() => this.#announcement?.renew());
    await this.#announcement.first;
    const done = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    return {
      done,
      condition: () =>
        nodeCondition({
          auth,
          views: this.#views,
          libc: context.libc,
          outbox: this.#deps.outbox,
          announcement: this.#announcement,
          renewalTrouble: this.#deps.renewalTrouble,
        }),
      diagnostics: () => this.#report(),
      stop: this.stop,
    };
  }

  #serve(context: NodeContext): void {
    const { config, world, listeners } = this.#deps;
    const views = this.#views;
    const ssh = nodeServer(this.#deps, { context, views, refused: this.#refused, served: this.#served });
    this.#ssh = ssh;
    const accept = (connection: Duplex): void => {
      ssh.accept(connection, {
        doubtAboutClient: doubtByViews(views, config, world),
        strangers: listeners.strangers,
      });
    };
    this.#listener.on('connection', accept);
    const { agents } = this.#deps;
    if (agents !== undefined) this.#tunnelled = acceptTunnelled(agents, accept);
  }

  /** Why auth does not know yet that the node is here. */
  notAnnounced(): string | undefined {
    return this.#announcement?.trouble();
  }

  readonly stop = endingOnce(async ({ over, succession }) => {
    await this.#drain(over);
    await this.#labels?.stop();
    this.#telling.stop();
    await this.#announcement?.stop(succession === 'none' ? 'farewell' : undefined);
    this.#live.close();
    this.#unsubscribe();
    await this.#recordings.stop();
    await this.#refused.close();
    await this.#audit.settled();
    this.#views.close();
    this.#finish();
  });

  /**
   * Waits until every socket that was accepted has closed, including people who were about to log in when it
   * began, and their programs have ended. When the time is over it ends what is left.
   */
  async #drain(over: Promise<void>): Promise<void> {
    this.#deps.agents?.leave();
    const closed = closeListener(this.#listener);
    await Promise.race([closed.then(() => this.#tunnelled?.gone()).then(() => this.#allEnded()), over]);
    this.#ending.abort();
    this.#ssh?.drain();
    await this.#ssh?.closeConnections('the server is stopping');
    await this.#allEnded();
    await closed;
  }

  async #allEnded(): Promise<void> {
    while (this.#served.size > 0) await Promise.all([...this.#served].map(({ ended }) => ended));
  }

  /** Before any program is started, so that none inherits a descriptor of ours. */
  async #loadLibc(): Promise<LibcLoad> {
    const libc = await loadLibc();
    if (libc.status === 'loaded') libc.libc.keepDescriptorsFromChildren();
    else this.#deps.sink.warn(`${libc.reason}; sessions without a terminal work`);
    return libc;
  }

  async #context(libc: LibcLoad, starter: ProgramStarter): Promise<NodeContext> {
    const { config, world, sink } = this.#deps;
    if (process.getuid?.() !== 0)
      sink.warn('this node does not run as root: only its own account can log in here');
    return {
      world,
      sink,
      libc,
      audit: this.#audit,
      starter,
      accounts: new Accounts(starter),
      filePrograms: findFilePrograms(config.programPath, config.ownFilePrograms ?? false),
      loginDefs: parseLoginDefs(await readFile('/etc/login.defs', 'utf8').catch(() => '')), // not every system has one
      hostId: config.hostId,
      clusterName: config.clusterName,
      acceptsVariable: acceptedVariables(config.acceptEnv),
      permitUserEnvironment: config.permitUserEnvironment,
      admitsLockedAccounts: config.admitLockedAccounts,
      webProxyAddress: () => webProxyAddress(this.#views.hosts.state()),
      diskTrouble: () => diskTrouble(this.#deps.outbox),
      labels: () => this.#currentLabels(),
      lookUpName: this.#deps.lookUpName,
      liveSessions: this.#live,
      shared: new SharedSessions(),
      nodename: config.nodename,
      recordings: this.#recordings.sessions,
      stop: this.#ending.signal,
    };
  }

  /** Follows everything that can end the access of connected people. */
  #watch(): void {
    const { users, roles, authorities, locks, requests, trustedClusters } = this.#views;
    const again = {
      next: () => {
        this.#reconsider();
      },
      error: () => undefined, // `trouble` reports that the view has failed
    };
    const subscriptions = [
      // Open connections keep the key that they have seen.
      this.#deps.identity.changes.subscribe(({ server }) => {
        this.#ssh?.setHostKeys(hostKeysOf(server));
        this.#announcement?.adopt();
      }),
      users.changes.subscribe(again),
      roles.changes.subscribe(again),
      authorities.changes.subscribe({
        next: () => {
          this.#reconsider();
          this.#announcement?.adopt();
        },
        error: again.error,
      }),
      locks.changes.subscribe(again),
      requests.changes.subscribe(again),
      trustedClusters.changes.subscribe(again),
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
    return formatHostPort({ host: isWildcard(host) ? (advertiseIp?.() ?? host) : host, port });
  }

  #info(): HostInfo {
    const { hostId, nodename, publicAddresses, commandLabels } = this.#deps.config;
    return {
      hostId,
      role: 'Node',
      nodename,
      reachability:
        this.#deps.agents === undefined
          ? { status: 'direct', address: this.#address() }
          : { status: 'tunnel', proxies: [] },
      publicAddress: publicAddresses[0] ?? '',
      sshPublicAddress: '',
      labels: { ...this.#currentLabels() },
      ...(commandLabels.length === 0 ? {} : { measured: commandLabels.map(({ name }) => name) }),
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
      recordingsWaiting: this.#recordings.pending(),
      disk: this.#deps.outbox.disk().status,
      auth: this.#deps.auth.state.connection().status,
    };
  }
}
