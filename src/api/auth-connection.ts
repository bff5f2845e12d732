import type { Duplex } from 'node:stream';
import type { LogSink } from '../base/log-sink.ts';
import type { HostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Partition } from '../log/event.ts';
import { callOperation } from './call-operation.ts';
import type { AuthClient } from './client.ts';
import { type Dialable, dialOneOf } from './dial-servers.ts';
import { httpOver } from './http-over.ts';
import { patienceMs } from './patience.ts';
import { openRemoteLog, type RemoteLog } from './remote-log.ts';
import { authServerName, secure, type TlsMaterial, tlsServer } from './tls-dial.ts';

/** The part of a host identity that TLS needs (`pki/host-identity.ts` has the whole). */
export interface TlsIdentityMaterial {
  readonly privateKeyPem: string;
  readonly tlsCertificatePem: string;
  readonly tlsCasPem: readonly string[];
}

export interface ConnectionOptions {
  readonly world: World;
  readonly sink: LogSink;
  /** Longest wait for an answer from one server. */
  readonly callTimeoutMs?: number;
  /** A followed log that brings no line for so long is taken for dead. */
  readonly silentMs?: number;
}

/** A client of the auth servers at these addresses. Connects when first used; close it. */
export function connectAuth(
  options: ConnectionOptions & {
    readonly servers: readonly HostPort[];
    readonly identity: TlsIdentityMaterial;
    /** Opens a stream to the auth service of this process, which is asked before the servers while it serves. */
    readonly within?: () => Duplex;
  },
): AuthClient {
  const tls: TlsMaterial = {
    key: options.identity.privateKeyPem,
    cert: options.identity.tlsCertificatePem,
    ca: options.identity.tlsCasPem,
    serverName: authServerName,
  };
  const { within } = options;
  const own: Dialable | undefined = within && {
    name: 'this process',
    connect: async (signal) => secure(within(), tls, signal),
  };
  return clientOf(
    options.servers.map((address) => tlsServer(address, tls)),
    options,
    own,
  );
}

/** A client over streams that `openStream` opens, one for each connection: the way through a proxy. */
export function connectAuthOver(
  openStream: () => Promise<Duplex>,
  tls: TlsMaterial,
  options: ConnectionOptions,
): AuthClient {
  const throughProxy: Dialable = {
    name: 'through the proxy',
    connect: async (signal) => secure(await openStream(), tls, signal),
  };
  return clientOf([throughProxy], options);
}

function clientOf(servers: readonly Dialable[], options: ConnectionOptions, own?: Dialable): AuthClient {
  const { world, sink } = options;
  const dial = dialOneOf(servers, world, own);
  const calls = httpOver(dial, true);
  const streams = httpOver(dial, false);
  const follow = (partition: Partition): RemoteLog =>
    openRemoteLog({
      partition,
      get: (path, signal) => streams.send({ method: 'GET', path, signal }),
      getSnapshot: (path, signal) => calls.send({ method: 'GET', path, signal }),
      passOver: () => {
        dial.passOver();
      },
      world,
      sink,
      silentMs: options.silentMs ?? 7_000,
      monotonic: () => performance.now(),
    });
  const state = follow('state');
  const presence = follow('presence');
  return {
    call: (operation, input) =>
      callOperation(calls, operation, input, world, {
        timeoutMs: options.callTimeoutMs ?? patienceMs,
        askAfter: true,
      }),
    state,
    presence,
    close: () => {
      state.close();
      presence.close();
      calls.close();
      streams.close();
    },
  };
}
