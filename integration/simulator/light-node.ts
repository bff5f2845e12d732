import { announceHost, type Pace } from '../../src/api/announce-host.ts';
import { connectAuth } from '../../src/api/auth-connection.ts';
import type { AuthClient } from '../../src/api/client.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { HostPort } from '../../src/base/service.ts';
import { version } from '../../src/base/version.ts';
import { realWorld } from '../../src/base/world.ts';
import type { HostInfo } from '../../src/domain/host-info.ts';
import { openNodeViews } from '../../src/node/node-views.ts';
import { marksOf } from '../../src/views/authorities.ts';
import type { SimulatedIdentity } from './host-certificates.ts';

/** What many nodes did, together. */
export interface Tally {
  /** Heartbeats that were answered, and how long each answer took, in milliseconds. */
  readonly heartbeatMs: number[];
  refusedHeartbeats: number;
  /** Warnings, by text, so often. */
  readonly warnings: Map<string, number>;
}

export const newTally = (): Tally => ({ heartbeatMs: [], refusedHeartbeats: 0, warnings: new Map() });

export interface LightNodeOptions {
  readonly servers: readonly HostPort[];
  readonly identity: SimulatedIdentity;
  readonly nodename: string;
  readonly pace: Pace;
  readonly tally: Tally;
  /** A followed log that brings no line for so long is taken for dead. Default: as in a real node. */
  readonly silentMs?: number;
}

export interface LightNode {
  readonly hostId: string;
  /** Resolves when auth has taken its first heartbeat. */
  readonly announced: Promise<void>;
  /** Position of its fold of the cluster's authorities. */
  position(): number;
  /** Undefined while it follows the log and its heartbeats are taken. */
  trouble(): string | undefined;
  /** Says at once that it is alive. */
  beat(): void;
  stop(): Promise<void>;
}

/**
 * All of a node that the auth servers see, by the code that a node runs: heartbeats, and the views that it
 * folds, over mutual TLS with a certificate of its own. It serves nobody.
 */
export async function startLightNode(options: LightNodeOptions): Promise<LightNode> {
  const { servers, identity, nodename, pace, tally, silentMs } = options;
  const sink = countingSink(tally);
  const auth = connectAuth({ servers, identity, world: realWorld, sink, ...(silentMs && { silentMs }) });
  const views = await openNodeViews(auth, sink);
  const host: HostInfo = {
    hostId: identity.hostId,
    role: 'Node',
    nodename,
    reachability: { status: 'direct', address: '0.0.0.0:3022' },
    publicAddress: '',
    sshPublicAddress: '',
    labels: { env: 'simulated', rack: nodename.slice(-2) },
    version,
  };
  const announcement = announceHost({
    auth: { call: timed(auth, tally) },
    sink,
    host: () => host,
    adopted: () => marksOf(views.authorities.state()),
    random: Math.random,
    now: () => realWorld.now(),
    pace,
  });
  return {
    hostId: identity.hostId,
    announced: announcement.first,
    position: () => views.authorities.position(),
    trouble: () => {
      const link = auth.state.connection();
      const failure = views.failure();
      if (failure) return String(failure);
      return link.status === 'away' ? link.reason : announcement.trouble();
    },
    beat: () => {
      announcement.renew();
    },
    stop: async () => {
      views.close();
      await announcement.stop();
      auth.close();
    },
  };
}

const timed =
  (auth: AuthClient, tally: Tally): AuthClient['call'] =>
  async (operation, input) => {
    const began = performance.now();
    try {
      const answer = await auth.call(operation, input);
      tally.heartbeatMs.push(performance.now() - began);
      return answer;
    } catch (e) {
      tally.refusedHeartbeats++;
      throw e;
    }
  };

function countingSink({ warnings }: Tally): LogSink {
  const none = (): void => undefined;
  const count = (message: string, fields?: Record<string, unknown>): void => {
    const reason = fields?.['reason'];
    const text = typeof reason === 'string' ? `${message}: ${reason}` : message;
    warnings.set(text, (warnings.get(text) ?? 0) + 1);
  };
  return { debug: none, info: none, warn: count, error: count };
}
