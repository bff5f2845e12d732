import { signUserIdentity } from '../../src/api/operations/identity.ts';
import { randomUUID } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connectAuth } from '../../src/api/auth-connection.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { recordingMetrics, recordingSink } from '../../src/api/testing.ts';
import { authServerName } from '../../src/api/tls-dial.ts';
import { openAuthViews } from '../../src/auth/auth-views.ts';
import { type AuthService, createAuthService } from '../../src/auth/service.ts';
import { keyChest, type Signer } from '../../src/auth/secrets/signing-keys.ts';
import type { StaticToken } from '../../src/auth/token/static-tokens.ts';
import type { HostPort, Running } from '../../src/base/service.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import type { SystemRole } from '../../src/domain/host-info.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { memoryLog } from '../../src/log/memory-log.ts';
import { generateEd25519, privateKeyPem } from '../../src/pki/key-pair.ts';
import { type PublicKey, publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { plainListeners } from './plain-listeners.ts';

/** A client certificate as a test wants it, and what it trusts. */
export interface Material {
  readonly privateKeyPem: string;
  readonly tlsCertificatePem: string;
  readonly tlsCasPem: readonly string[];
}

/** A real auth server on a real socket over a log in memory. */
export interface AuthBench {
  readonly log: ClusterLog;
  readonly service: AuthService;
  /** Lets time pass for the server. */
  readonly advance: (ms: number) => void;
  /**
   * Makes what the server heard older, and leaves its clock as it is: that of machines that go on would
   * differ.
   */
  readonly growOlder: (ms: number) => void;
  readonly sink: ReturnType<typeof recordingSink>;
  address(): HostPort;
  stop(): Promise<void>;
}

export async function startAuth(
  options: {
    log?: ClusterLog;
    port?: number;
    secondFactor?: 'off' | 'otp';
    staticTokens?: readonly StaticToken[];
  } = {},
): Promise<AuthBench> {
  const log = options.log ?? memoryLog();
  const sink = recordingSink();
  let ahead = 0;
  let older = 0;
  const world: World = {
    ...realWorld,
    now: () => new Date(Date.now() + ahead).toISOString(),
    monotonic: () => performance.now() + ahead,
  };
  const service = createAuthService({
    log,
    world,
    ageing: () => world.monotonic() + older,
    sink,
    metrics: recordingMetrics(),
    listeners: plainListeners,
    config: {
      hostId: randomUUID(),
      nodename: 'auth-1',
      clusterName: 'example',
      listenAddress: { host: '127.0.0.1', port: options.port ?? 0 },
      publicAddresses: ['127.0.0.1'],
      secondFactor: options.secondFactor ?? 'off',
      staticTokens: options.staticTokens ?? [],
    },
  });
  const running: Running = await service.start();
  return {
    log,
    service,
    advance: (ms) => {
      ahead += ms;
    },
    growOlder: (ms) => {
      older += ms;
    },
    sink,
    address: () => service.listenAddress(),
    stop: () => running.stop(0),
  };
}

export const identityOf = (
  auth: AuthBench,
  role: SystemRole,
  hostId: string = randomUUID(),
  nodename = `${role}-1`,
): Promise<Material & { hostId: string }> =>
  auth.service.issueHostIdentity({ hostId, nodename, role, additionalPrincipals: [] });

export const clientOf = (
  servers: readonly HostPort[],
  identity: Material,
  extra: { callTimeoutMs?: number; silentMs?: number; within?: () => Duplex } = {},
): AuthClient => connectAuth({ servers, identity, sink: recordingSink(), world: realWorld, ...extra });

/** The private keys of the cluster: what a forger would love to have, and a test needs to forge well. */
export async function signersOf(log: ClusterLog): Promise<{ user: Signer; host: Signer }> {
  const views = await openAuthViews(log, { now: () => realWorld.now(), monotonic: () => performance.now() });
  await views.fresh();
  const chest = keyChest(log.state, views);
  const signers = { user: await chest.signer('user'), host: await chest.signer('host') };
  views.close();
  return signers;
}

export function newKey(): { privateKeyPem: string; publicKey: PublicKey } {
  const key = generateEd25519();
  return { privateKeyPem: privateKeyPem(key), publicKey: publicKeyOf(key) };
}

/** A TCP link that a test can stall or cut. */
export interface BadLink {
  readonly address: HostPort;
  /** Bytes stop flowing in both directions; connections stay. */
  readonly stall: () => void;
  /** Whatever is open breaks; new connections pass. */
  readonly cut: () => void;
  /**
   * Answers are swallowed from now on, until the link is cut: what was asked is done, and nobody hears of it.
   */
  readonly swallowAnswers: () => void;
  close(): Promise<void>;
}

/** @param host this machine's address that the link listens on. */
export async function badLinkTo(target: HostPort, host = '127.0.0.1'): Promise<BadLink> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let stalled = false;
  let swallowing = false;
  const server: Server = createServer((near) => {
    const far = connect(target.port, target.host);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on('data', (data) => stalled || far.write(data));
    far.on('data', (data) => stalled || swallowing || near.write(data));
    for (const socket of pair) socket.on('error', end).on('close', end);
  });
  await new Promise<void>((ready) => server.listen(0, host, ready));
  const cut = (): void => {
    stalled = false;
    swallowing = false;
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
  };
  return {
    address: { host, port: (server.address() as AddressInfo).port },
    stall: () => {
      stalled = true;
    },
    swallowAnswers: () => {
      swallowing = true;
    },
    cut,
    close: () => {
      cut();
      return new Promise((done) =>
        server.close(() => {
          done();
        }),
      );
    },
  };
}

export const serverName = authServerName;

/** An identity that was signed for this user to administer with. */
export async function operatorIdentity(
  admin: AuthClient,
  username: string,
  tlsCasPem: readonly string[],
): Promise<Material> {
  const { privateKeyPem, publicKey } = newKey();
  const { tlsCertificatePem = '' } = await admin.call(signUserIdentity, {
    username,
    publicKey: toAuthorizedKeyLine(publicKey.blob),
    ttlSeconds: 3600,
    format: 'file',
    administers: true,
    force: false,
  });
  return { privateKeyPem, tlsCertificatePem, tlsCasPem };
}
