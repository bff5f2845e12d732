import { announceHost, type Pace } from '../../src/api/announce-host.ts';
import { connectAuth } from '../../src/api/auth-connection.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { renewAtAuth } from '../../src/api/renew-client.ts';
import { pause } from '../../src/base/backoff.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { HostPort } from '../../src/base/service.ts';
import { version } from '../../src/base/version.ts';
import { realWorld } from '../../src/base/world.ts';
import type { HostInfo } from '../../src/domain/host-info.ts';
import { rotationMark } from '../../src/domain/rotation-mark.ts';
import { type NodeViews, openNodeViews } from '../../src/node/node-views.ts';
import { type ReplaceableIdentity, replaceableIdentity } from '../../src/pki/current-identity.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { hostAuthorityOf } from '../../src/process/identity/follow-authority.ts';
import { pendingKey } from '../../src/process/identity/identity-store.ts';
import { keepRenewed, type Renewal } from '../../src/process/identity/renew-identity.ts';
import { adoptedOf } from '../../src/process/identity/shown-identities.ts';

/** What many nodes did, together. */
export interface Tally {
  /** Heartbeats that were answered, and how long each answer took, in milliseconds. */
  readonly heartbeatMs: number[];
  refusedHeartbeats: number;
  /** Warnings, by text, so often. */
  readonly warnings: Map<string, number>;
}

type LightRole = 'Node' | 'Proxy';

export const newTally = (): Tally => ({ heartbeatMs: [], refusedHeartbeats: 0, warnings: new Map() });

export interface LightNodeOptions {
  readonly servers: readonly HostPort[];
  readonly identity: HostIdentity;
  /** Where it keeps the certificates that it renews: a folder of its own. */
  readonly dataDir: string;
  readonly nodename: string;
  /** Default: a node. */
  readonly role?: LightRole;
  readonly pace: Pace;
  readonly tally: Tally;
  /** A followed log that brings no line for so long is taken for dead. Default: as in a real node. */
  readonly silentMs?: number;
}

export interface LightNode {
  readonly hostId: string;
  /** Its connection to the auth servers, with the certificate that it has by now. */
  readonly auth: AuthClient;
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
 * All of a node that the auth servers see, by the code that a node runs: heartbeats, the views that it folds,
 * and certificates that are renewed as a rotation asks, over mutual TLS with a certificate of its own. It
 * serves nobody.
 */
export async function startLightNode(options: LightNodeOptions): Promise<LightNode> {
  const { servers, nodename, role = 'Node', pace, tally, silentMs } = options;
  const { hostId } = options.identity;
  const sink = countingSink(tally);
  const identity = replaceableIdentity(options.identity);
  let spreadMs = 0;
  const auth = connectAuth({
    ...{ servers, identity, world: realWorld, sink },
    among: () => ({ hostId, spreadMs }),
    ...(silentMs && { silentMs }),
  });
  const views = await openNodeViews(auth, sink);
  const renewal = keepCertified(options, { identity, auth, views, sink, spreadMs: () => spreadMs });
  const host: HostInfo = {
    ...{ hostId, role, nodename, publicAddress: '', sshPublicAddress: '', version },
    reachability: { status: 'direct', address: '0.0.0.0:3022' },
    labels: { env: 'simulated', rack: nodename.slice(-2) },
  };
  const announcement = announceHost({
    auth: { call: timed(auth, tally) },
    sink,
    host: () => host,
    adopted: () => {
      const { user, host: hosts } = views.authorities.state();
      return [rotationMark(user.state), adoptedOf(identity.shown(), hosts.state)];
    },
    renewalTrouble: () => renewal.trouble(),
    onSpread: (ms) => {
      spreadMs = ms;
    },
    random: Math.random,
    now: () => realWorld.now(),
    pace,
  });
  const adopt = (): void => {
    announcement.adopt();
  };
  const following = [
    identity.changes.subscribe(adopt),
    views.authorities.changes.subscribe({ next: adopt, error: () => undefined }),
  ];
  return {
    hostId,
    auth,
    announced: announcement.first,
    position: () => views.authorities.position(),
    trouble: () => {
      const link = auth.state.connection();
      const failure = views.failure();
      if (failure) return String(failure);
      return link.status === 'away' ? link.reason : (announcement.trouble() ?? renewal.trouble());
    },
    beat: () => {
      announcement.renew();
    },
    stop: async () => {
      for (const one of following) one.unsubscribe();
      renewal.close();
      views.close();
      await announcement.stop();
      auth.close();
    },
  };
}

/** As a process does for a role of it. */
function keepCertified(
  { dataDir, nodename, role = 'Node' }: LightNodeOptions,
  on: {
    readonly identity: ReplaceableIdentity;
    readonly auth: AuthClient;
    readonly views: NodeViews;
    readonly sink: LogSink;
    readonly spreadMs: () => number;
  },
): Renewal {
  const { identity, auth, views, sink, spreadMs } = on;
  return keepRenewed({
    ...{ identity, dataDir, sink, spreadMs, pause, world: realWorld },
    names: { nodename, additionalPrincipals: [] },
    authority: hostAuthorityOf(views.authorities),
    certify: (names) =>
      renewAtAuth(auth, { held: identity.current(), key: pendingKey(dataDir, role), ...names }, realWorld),
  });
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
