import type { AuthClient } from '../../api/client.ts';
import type { tryIdentity, Verdict } from '../../api/join-client.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';

export interface WatchDeps {
  /** The newest one. */
  readonly identity: () => HostIdentity;
  readonly authServers: readonly HostPort[];
  readonly tryIdentity: typeof tryIdentity;
  readonly world: World;
  readonly sink: LogSink;
  /** Resolves early when `signal` is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Long enough for a server to be restarted. */
const everyMs = 10 * second;

/**
 * A client that knows why auth is away: not reachable, or reachable and refusing this machine's identity, as
 * an auth server does that was set up from scratch. A running service continues for those it serves, and
 * joins nothing: that is for its next start.
 */
export function explainAbsence(client: AuthClient, deps: WatchDeps): AuthClient {
  const closed = new AbortController();
  let refusal: string | undefined;
  const look = async (): Promise<void> => {
    const { status } = client.state.connection();
    const found = status === 'away' ? await refusalBy(deps) : undefined;
    if (found !== undefined && found !== refusal && !closed.signal.aborted)
      deps.sink.error(found, { hostId: deps.identity().hostId, role: deps.identity().role });
    refusal = found;
  };
  const watch = async (): Promise<void> => {
    for (;;) {
      await deps.pause(everyMs, closed.signal);
      if (closed.signal.aborted) return;
      await look();
    }
  };
  void watch();
  const { state } = client;
  return {
    ...client,
    state: {
      ...state,
      connection: () => {
        const link = state.connection();
        return link.status === 'away' && refusal !== undefined ? { ...link, reason: refusal } : link;
      },
    },
    close: () => {
      closed.abort();
      client.close();
    },
  };
}

/** Undefined while one of them accepts it, or none replies. */
async function refusalBy(deps: WatchDeps): Promise<string | undefined> {
  const { authServers, tryIdentity, world } = deps;
  const identity = deps.identity();
  const refusals: Extract<Verdict, { status: 'refused' }>[] = [];
  for (const server of authServers) {
    const verdict = await tryIdentity(server, identity, world);
    if (verdict.status === 'admitted') return undefined;
    if (verdict.status === 'refused') refusals.push(verdict);
  }
  if (refusals.length === 0) return undefined;
  const why = refusals.map(({ server, reason }) => `${formatHostPort(server)}: ${reason}`).join('; ');
  return (
    `the identity of this machine in the cluster "${identity.clusterName}" is refused (${why}); ` +
    'those who are connected stay; a new start (SIGHUP) joins again with the configured token and ca_pin'
  );
}
