import type { AuthClient } from '../../api/client.ts';
import type { tryIdentity, Verdict } from '../../api/join-client.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import type { JoiningAgain, Refusal } from './join-again.ts';

export interface WatchDeps {
  /** The newest one. */
  readonly identity: () => HostIdentity;
  readonly authServers: readonly HostPort[];
  readonly tryIdentity: typeof tryIdentity;
  readonly world: World;
  readonly sink: LogSink;
  /** Resolves early when `signal` is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly joining: JoiningAgain;
}

/** Long enough for a server to be restarted. */
const everyMs = 10 * second;

/**
 * A client that knows why auth is away: not there, or there and refusing this machine's identity. Refused by
 * two looks in a row, the service is to join again, where that can be done without the operator; those whom
 * it serves notice nothing. What is left for the operator stands in the reason.
 */
export function explainAbsence(client: AuthClient, deps: WatchDeps): AuthClient {
  const closed = new AbortController();
  let refusedBefore = false;
  let refusal: string | undefined;
  const found = async (): Promise<string | undefined> => {
    const { status } = client.state.connection();
    const verdict = status === 'away' ? await refusalBy(deps) : 'admitted';
    if (verdict === 'admitted') deps.joining.admitted();
    const isRefused = typeof verdict === 'object';
    const isLasting = isRefused && refusedBefore;
    refusedBefore = isRefused;
    if (!isLasting || closed.signal.aborted) return undefined;
    const left = await deps.joining.refused(verdict);
    return left === undefined ? undefined : refusedText(deps.identity(), verdict, left);
  };
  const look = async (): Promise<void> => {
    const now = await found();
    if (now !== undefined && now !== refusal && !closed.signal.aborted)
      deps.sink.error(now, { hostId: deps.identity().hostId, role: deps.identity().role });
    refusal = now;
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

/** Undefined while nobody answers. */
async function refusalBy(deps: WatchDeps): Promise<Refusal | 'admitted' | undefined> {
  const { authServers, tryIdentity, world } = deps;
  const identity = deps.identity();
  const refusals: Extract<Verdict, { status: 'refused' }>[] = [];
  for (const server of authServers) {
    const verdict = await tryIdentity(server, identity, world);
    if (verdict.status === 'admitted') return 'admitted';
    if (verdict.status === 'refused') refusals.push(verdict);
  }
  if (refusals.length === 0) return undefined;
  const byOwn = refusals.filter(({ by }) => by === 'own-cluster');
  return {
    by: byOwn.length > 0 ? 'own-cluster' : 'stranger',
    servers: byOwn.map(({ server }) => server),
    why: refusals.map(({ server, reason }) => `${formatHostPort(server)}: ${reason}`).join('; '),
  };
}

const refusedText = ({ clusterName }: HostIdentity, { why }: Refusal, left: string): string =>
  `the identity of this machine in the cluster "${clusterName}" is refused (${why}); ${left}`;
