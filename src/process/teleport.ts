import { backoffMs, pause, randomFraction } from '../base/backoff.ts';
import { messageOf } from '../base/errors.ts';
import { nameLookup } from '../base/name-lookup.ts';
import { ResolverProcess } from '../base/resolver-process.ts';
import { formatHostPort, type HostPort, type Succession } from '../base/service.ts';
import { gitRef, version } from '../base/version.ts';
import type { World } from '../base/world.ts';
import { whyPacketsAreSlow } from '../ssh/ssh2-library.ts';
import type { Configuration } from './configuration/configuration.ts';
import { openDiagnostics } from './diagnostics/diagnostics.ts';
import { type Health, healthOf } from './diagnostics/health.ts';
import { hostUuid } from './identity/host-uuid.ts';
import type { Inheritance, InheritedListener } from './lifecycle/inheritance.ts';
import { balancersIn } from './balancers.ts';
import { HeaderGate } from './header-gate.ts';
import { openListeners } from './listeners.ts';
import { RefusedHeaders } from './refused-headers.ts';
import type { Logger, OpenLogger } from './logging/logger.ts';
import { MetricsRegistry } from './diagnostics/metrics.ts';
import type { KnownHealth } from './diagnostics/readyz.ts';
import type { Parts } from './parts.ts';
import { servicesOf } from './roles.ts';
import { startResolver } from './start-resolver.ts';
import { ProcessStrangers } from './strangers.ts';
import { Supervisor } from './lifecycle/supervisor.ts';
import { Turnstile } from './lifecycle/turnstile.ts';

export interface TeleportProcess {
  /**
   * Resolves when every role serves.
   * @throws CodedError `misconfigured` when a service cannot start with its settings; whatever was opened is
   *   closed again.
   */
  readonly serving: Promise<void>;
  /**
   * From here on no role joins a cluster, nor begins to serve after joining; the returned function releases
   * them.
   */
  hold(): () => void;
  /** Where each listener is bound, by name. */
  addresses(): ReadonlyMap<string, HostPort>;
  /** For a successor. */
  handOver(): InheritedListener[];
  /** Connections by listener. */
  waitsFor(): Promise<Record<string, number>>;
  /** The health of all its services together. */
  health(): Health;
  /** What each service reports of itself, for USR1. */
  diagnostics(): ReadonlyMap<string, Record<string, unknown>>;
  /** From here on `/readyz` sends everybody elsewhere, though all are still served. */
  leave(): void;
  /**
   * Serves current clients for up to `graceMs` (new ones are refused, or go to the successor), then closes
   * everything. A second call can only shorten the wait.
   */
  stop(graceMs: number, succession: Succession): Promise<void>;
}

/**
 * Starts the roles that the configuration names, in one process. Resolves when they have begun to start.
 * @param print receives the start lines users of 4.4 know.
 * @param onWait is called at each change with what each service waits for that may never come: to join a
 *   cluster, its store.
 * @throws CodedError `misconfigured` when the diagnostics address cannot be listened on.
 */
export async function startTeleport(
  configuration: Configuration,
  deps: {
    world: World;
    logger: Logger;
    /** State of the log's own output, for `/readyz` and the metrics. */
    log?: Pick<OpenLogger['output'], 'trouble' | 'dropped'>;
    print: (line: string) => void;
    programPath: readonly string[];
    inheritance?: Inheritance;
    onWait?: (waiting: ReadonlyMap<string, string>) => void;
  },
): Promise<TeleportProcess> {
  const sink = deps.logger('process');
  const metrics = new MetricsRegistry();
  const { isBalancer, headersDueFrom } = balancersIn(configuration.file);
  const monotonic = (): number => deps.world.monotonic();
  const refused = new RefusedHeaders({ sink, metrics, monotonic });
  const strangers = new ProcessStrangers({ sink, metrics, isBalancer, monotonic, refusedHeaders: refused });
  const gate = new HeaderGate({ dueFrom: headersDueFrom, strangers, refused });
  const listeners = openListeners(strangers, gate, deps.inheritance);
  const waiting = new Map<string, string>();
  const turnstile = new Turnstile();
  const resolver = new ResolverProcess(() => startResolver([...deps.programPath, 'look-up-names']));
  const parts: Parts = {
    configuration,
    ...deps,
    metrics,
    lookUpName: nameLookup(resolver.ask),
    listeners,
    hostId: hostUuid(configuration.dataDir, deps.world),
    turnstile,
    waitsFor: (role, text) => {
      if (waiting.get(role) === text) return;
      if (text === undefined) waiting.delete(role);
      else waiting.set(role, text);
      deps.onWait?.(new Map(waiting));
    },
  };
  const slow = whyPacketsAreSlow();
  if (slow !== undefined) sink.warn(slow);

  const supervisor = new Supervisor(servicesOf(parts), {
    backoffMs: (n) => backoffMs(n, 500, 30_000, 0.5 + randomFraction(deps.world) / 2),
    pause,
    foundations: new Set(['admin', 'auth']),
    onFailure: (service, e) => {
      sink.error(`${service} failed: ${messageOf(e)}`, { stack: e instanceof Error ? e.stack : undefined });
    },
  });
  metrics.onRender(() => {
    metrics.set('log_output_failing', deps.log?.trouble() === undefined ? 0 : 1);
    metrics.set('log_lines_dropped', deps.log?.dropped() ?? 0);
  });
  const lacks = (): string[] => {
    const unwritten = deps.log?.trouble();
    return unwritten === undefined ? [] : [`log: ${unwritten}`];
  };
  let leaving: string | undefined;
  const health = (): KnownHealth => ({
    ...{ services: supervisor.states(), waitsFor: waiting },
    ...{ lacks: lacks(), leaving },
  });
  const diagnostics =
    configuration.diagnostics === undefined
      ? undefined
      : await openDiagnostics(configuration.diagnostics, { listeners, metrics, health });
  const closeRest = async (): Promise<void> => {
    await diagnostics?.close();
    resolver.close();
  };
  // Not asked of the supervisor, which stops by itself when a service cannot start.
  let isStopped = false;
  const start = async (): Promise<void> => {
    try {
      await supervisor.start();
    } catch (e) {
      if (!isStopped) await closeRest();
      throw e;
    }
    announce(listeners.addresses(), deps);
  };
  return {
    serving: start(),
    hold: () => turnstile.close(),
    addresses: () => listeners.addresses(),
    handOver: () => listeners.handOver(),
    waitsFor: async () => Object.fromEntries(await listeners.connections()),
    health: () => healthOf(supervisor.states(), [...waiting.values()], lacks()),
    diagnostics: () => supervisor.diagnostics(),
    leave: () => {
      leaving = 'this process drains: it is about to accept nobody';
    },
    stop: async (graceMs, succession) => {
      isStopped = true;
      if (succession === 'succeeded') listeners.stopAccepting();
      // Otherwise each has the time that it may take for its header.
      if (graceMs === 0) listeners.cutWaiting();
      await supervisor.stop(graceMs, succession);
      await closeRest();
    },
  };
}

const startLines: readonly (readonly [string, string, string])[] = [
  ['auth', 'AUTH', 'Auth service'],
  ['proxy:web', 'PROXY', 'Web proxy service'],
  ['proxy:ssh', 'PROXY', 'SSH proxy service'],
  ['proxy:tunnel', 'PROXY', 'Reverse tunnel service'],
  ['proxy:peer', 'PROXY', 'Peer service'],
  ['node', 'NODE', 'Service'],
];

function announce(
  addresses: ReadonlyMap<string, HostPort>,
  { logger, print }: { logger: Logger; print: (line: string) => void },
): void {
  for (const [name, component, what] of startLines) {
    const address = addresses.get(name);
    if (address === undefined) continue;
    const text = `${what} ${version}:${gitRef} is starting on ${formatHostPort(address)}.`;
    print(`[${component}]${' '.repeat(8 - component.length)}${text}`);
    logger(component.toLowerCase()).info(text);
  }
}
