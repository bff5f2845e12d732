import type { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { LogSink } from '../base/log-sink.ts';
import type { HostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Partition } from '../log/event.ts';
import type { CurrentIdentity } from '../pki/current-identity.ts';
import { callOperation } from './call-operation.ts';
import type { AuthClient } from './client.ts';
import { type Dialable, dialOneOf } from './dial-servers.ts';
import { httpOver } from './http-over.ts';
import type { Among } from './no-answer.ts';
import { patienceMs, persistMs } from './patience.ts';
import { openRemoteLog, type RemoteLog } from './remote-log.ts';
import {
  authServerName,
  certificateShownOn,
  type OpenThrough,
  secure,
  type TlsMaterial,
  tlsServer,
} from './tls-dial.ts';

/** The part of a host identity that TLS needs (`pki/host-identity.ts` has the whole). */
export interface TlsIdentityMaterial {
  readonly privateKeyPem: string;
  readonly tlsCertificatePem: string;
  readonly tlsCasPem: readonly string[];
}

export interface ConnectionOptions {
  readonly world: World;
  readonly sink: LogSink;
  /** Longest wait for one server's response. */
  readonly callTimeoutMs?: number;
  /**
   * A followed log without a line for this long counts as dead. Default 2,000; longer where the server
   * announces that.
   */
  readonly silentMs?: number;
  /**
   * This machine, where it is one of many: they spread how they come back to servers that have too much to
   * do.
   */
  readonly among?: (() => Among) | undefined;
}

/** A client of the auth servers at these addresses. Connects when first used; close it. */
export function connectAuth(
  options: ConnectionOptions & {
    readonly servers: readonly HostPort[];
    /**
     * An identity that may change: new connections use the newest, and open ones are replaced without losing
     * a call.
     */
    readonly identity: TlsIdentityMaterial | CurrentIdentity;
    /**
     * Opens a stream to the auth service of this process, which is tried before the servers while it serves.
     */
    readonly within?: () => Duplex;
    /** How the servers are reached. Default: they are dialled. */
    readonly through?: OpenThrough | undefined;
  },
): RedialingClient {
  const { identity, within } = options;
  let shown = 'current' in identity ? identity.current() : identity;
  let tls = materialOf(shown);
  const own: Dialable | undefined = within && {
    name: 'this process',
    connect: async (signal) => secure(within(), tls, signal),
  };
  const dialling = clientOf(
    options.servers.map((address) => tlsServer(address, () => tls, options.through)),
    options,
    own,
  );
  const client: RedialingClient = {
    ...dialling,
    dialAgain: () => {
      // Of another object no TLS session is resumed: certificates are shown and checked again.
      tls = materialOf(shown);
      dialling.dialAgain();
    },
  };
  if (!('current' in identity)) return client;
  const following = identity.changes.subscribe(({ client: next }) => {
    const before = shown;
    shown = next;
    tls = materialOf(next);
    // If only the authorities changed, open connections are as good as new ones.
    if (before.tlsCertificatePem !== next.tlsCertificatePem) client.dialAgain();
  });
  return {
    ...client,
    close: () => {
      following.unsubscribe();
      client.close();
    },
  };
}

const materialOf = (identity: TlsIdentityMaterial): TlsMaterial => ({
  key: identity.privateKeyPem,
  cert: identity.tlsCertificatePem,
  ca: identity.tlsCasPem,
  serverName: authServerName,
});

/** A client over streams that `openStream` opens, one for each connection: for the way through a proxy. */
export function connectAuthOver(
  openStream: () => Promise<Duplex>,
  tls: TlsMaterial,
  options: ConnectionOptions,
): AuthClient {
  const throughProxy: Dialable = {
    name: 'through the proxy',
    connect: async (signal) => secure(await openStream(), tls, signal),
  };
  // Twice, so that a second stream is tried beside one on which no server greets: the proxy opens it to
  // another server.
  return clientOf([throughProxy, { ...throughProxy }], options);
}

/** Servers of this release send a sign of life at least three times in it. */
const defaultSilentMs = 2_000;

export interface RedialingClient extends AuthClient {
  /** Calls to come and what is followed go over new connections; a call that is under way ends on its own. */
  dialAgain(): void;
  /** What the servers showed on the connections that are open, without those that only end. */
  shownByServers(): readonly X509Certificate[];
}

function clientOf(servers: readonly Dialable[], options: ConnectionOptions, own?: Dialable): RedialingClient {
  const { world, sink } = options;
  const dial = dialOneOf(servers, world, { own });
  const calls = httpOver(dial, true);
  const streams = httpOver(dial, false);
  const follow = (partition: Partition): RemoteLog =>
    openRemoteLog({
      partition,
      get: (path, signal, onConnection) => streams.send({ method: 'GET', path, signal, onConnection }),
      getSnapshot: (path, signal, headers = {}) => calls.send({ method: 'GET', path, signal, headers }),
      passOver: (stream) => {
        dial.passOver(stream);
        calls.leave(stream);
      },
      ...{ world, sink, among: options.among },
      silentMs: options.silentMs ?? defaultSilentMs,
      monotonic: () => performance.now(),
    });
  const state = follow('state');
  const presence = follow('presence');
  return {
    call: (operation, input) =>
      callOperation(calls, operation, input, world, {
        timeoutMs: options.callTimeoutMs ?? patienceMs,
        askAfter: true,
        servers: servers.length + (own === undefined ? 0 : 1),
        persistMs,
      }),
    servers: () => dial.order(),
    state,
    presence,
    dialAgain: () => {
      for (const one of [calls, state, presence]) one.dialAgain();
    },
    shownByServers: () =>
      [...calls.open(), ...streams.open()].flatMap((stream) => certificateShownOn(stream) ?? []),
    close: () => {
      state.close();
      presence.close();
      calls.close();
      streams.close();
    },
  };
}
