import { setImmediate as turn } from 'node:timers/promises';
import { delayWhen, from } from 'rxjs';
import { recordingMetrics, recordingSink, type FakeWorld, fakeWorld } from '../api/testing.ts';
import type { OtherClusters } from '../api/trust-client.ts';
import type { Caller } from '../api/operation.ts';
import type { Call } from '../api/server-deps.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { role as roleRules } from '../domain/role.ts';
import { roleStream } from '../domain/streams.ts';
import type { SystemRole } from '../domain/host-info.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { Settings } from '../domain/config-facts.ts';
import { noDeadline } from '../base/deadline.ts';
import { execute } from '../log/execute.ts';
import type { ClusterLog } from '../log/event-log.ts';
import type { Partition, Recorded } from '../log/event.ts';
import { memoryLog } from '../log/memory-log.ts';
import { generateEd25519 } from '../pki/key-pair.ts';
import { otpCode } from '../pki/otp.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { BootstrapFile } from './restore/bootstrap-file.ts';
import { acceptInvite } from './invite/accept-invite.ts';
import { buildDeps } from './build-deps.ts';
import { createUser } from './user/create-user.ts';
import type { AuthDeps } from './deps.ts';
import { heartbeat } from './host/heartbeat.ts';
import { guardedLog } from './log/guarded-log.ts';
import { logIn } from './user/log-in.ts';
import type { QuotaSettings } from './limits/quota-rules.ts';
import { readInvite } from './invite/read-invite.ts';
import type { StaticToken } from './token/static-tokens.ts';

export const authHostId = '00000000-0000-4000-8000-00000000000a';

/** The use cases over the real log in memory; no sockets. Time moves when a test moves it. */
export interface TestAuth {
  readonly deps: AuthDeps;
  readonly log: ClusterLog;
  readonly world: FakeWorld;
  readonly sink: ReturnType<typeof recordingSink>;
  close(): Promise<void>;
}

/**
 * The same log, but its followers learn of an event a little after its append has returned, as they do with a
 * store on the network: code that reads what it wrote without waiting for it reads the old state.
 */
function foldedLater(log: ClusterLog): ClusterLog {
  const plain = guardedLog(log, () => undefined);
  const { state } = plain;
  return {
    ...plain,
    state: {
      ...state,
      follow: (...after) => state.follow(...after).pipe(delayWhen(() => from(turn()))),
    },
  };
}

export async function openTestAuth(
  options: {
    secondFactor?: SecondFactor;
    log?: ClusterLog;
    world?: FakeWorld;
    clusterName?: string;
    hostId?: string;
    nodename?: string;
    nameIsDefault?: boolean;
    monotonic?: () => number;
    /** Default: as the world's clock goes. */
    ageing?: () => number;
    maxLogLagMs?: number;
    hostCertificateTtlMs?: number;
    forgetHostsAfterMs?: number;
    storeSilenceMs?: number;
    onFarewell?: () => void;
    staticTokens?: readonly StaticToken[];
    quotas?: QuotaSettings;
    settings?: Settings;
    servedBy?: () => Promise<string | undefined>;
    bootstrap?: () => Promise<BootstrapFile>;
    otherClusters?: OtherClusters;
  } = {},
): Promise<TestAuth> {
  const world = options.world ?? fakeWorld();
  const sink = recordingSink();
  const log = options.log ?? memoryLog({ world });
  const { deps, close } = await buildDeps({
    hostId: authHostId,
    clusterName: 'example',
    secondFactor: 'otp',
    nodename: 'auth-1',
    ageing: () => Date.parse(world.now()),
    ...options,
    log: foldedLater(log),
    world,
    sink,
    metrics: recordingMetrics(),
  });
  return { deps, log, world, sink, close };
}

const requestId = '00000000-0000-4000-8000-0000000000ff';
export const callOf = (caller: Caller): Call => ({ caller, requestId, deadline: noDeadline });
export const hostCall = (role: SystemRole, hostId = '00000000-0000-4000-8000-0000000000b1'): Call =>
  callOf({ kind: 'host', role, hostId, address: '10.0.0.1:4711' });
export const adminCall = hostCall('Admin');
export const userCall = (username: string, roles: readonly string[] = ['admin']): Call =>
  callOf({ kind: 'user', username, roles, address: '10.0.0.9:1' });

export const newKeyLine = (): string => toAuthorizedKeyLine(publicKeyOf(generateEd25519()).blob);

/** The code that a device shows for the secret of an otpauth URL. */
export function codeFor(otpUrl: string, now: string, stepsLater = 0): string {
  const text = new URL(otpUrl).searchParams.get('secret') ?? '';
  const bits = Array.from(text, (c) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'),
  ).join('');
  const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  return otpCode(bytes, Math.floor(Date.parse(now) / 30_000) + stepsLater);
}

/**
 * Invites `username` and accepts with `password`; returns its one-time URL (empty when there is no second
 * factor).
 */
export async function addUser(
  { deps, world }: TestAuth,
  username: string,
  password: string,
  roles: string[] = ['admin'],
): Promise<string> {
  const { inviteToken } = await createUser(deps, adminCall, {
    username,
    roles,
    traits: { logins: [username, 'root'] },
    inviteTtlSeconds: 3600,
  });
  const { otpUrl } = await openLink(deps, inviteToken);
  const otp = otpUrl === '' ? '' : codeFor(otpUrl, world.now());
  await acceptInvite(deps, hostCall('Proxy'), {
    token: inviteToken,
    password,
    otp,
    clientAddress: '192.0.2.7:1',
  });
  // The code that was just used does not work again.
  world.advance(60_000);
  return otpUrl;
}

/** Another auth server says that it is alive, and how much it understands. */
export async function announceAuth(
  { deps, world }: TestAuth,
  hostId: string,
  understands: number,
): Promise<void> {
  const record = { hostId, role: 'Auth' as const, nodename: 'auth-2', address: '10.0.0.2:3025' };
  const host = {
    ...record,
    publicAddress: '',
    sshPublicAddress: '',
    labels: {},
    version: '4.5.0',
    understands,
  };
  const call = callOf({ kind: 'host', role: 'Auth', hostId, address: '10.0.0.2:1' });
  await heartbeat(deps, call, { host, ttlSeconds: 60, sentAt: world.now() });
  await deps.presence.flush();
  await deps.views.presence.reached(await deps.log.presence.head());
  await deps.views.fresh();
}

/** Opens an invite or reset link as a person does. */
export const openLink = (deps: AuthDeps, token: string): ReturnType<typeof readInvite> =>
  readInvite(deps, hostCall('Proxy'), { token, clientAddress: '192.0.2.7:1' });

export interface Attempt {
  readonly username: string;
  readonly password: string;
  readonly otp?: string;
  readonly clientAddress?: string;
  readonly addressIsShared?: boolean;
  readonly balancerAddress?: string;
  readonly publicKey?: string;
  readonly ttlSeconds?: number;
}
export const tryLogin = ({ deps }: TestAuth, attempt: Attempt): ReturnType<typeof logIn> =>
  logIn(deps, hostCall('Proxy'), {
    otp: '',
    clientAddress: '192.0.2.1:999',
    publicKey: newKeyLine(),
    ttlSeconds: 12 * 3600,
    format: 'standard',
    routeToCluster: '',
    ...attempt,
  });

export async function addRole(auth: TestAuth, spec: RoleSpec): Promise<void> {
  const cause = { at: auth.world.now(), actor: 'admin', requestId };
  const command = { type: 'create-role', role: spec } as const;
  const { position } = await execute(auth.log.state, roleRules, roleStream(spec.name), command, cause);
  await auth.deps.views.reached(position ?? 0);
}

export async function eventsOf(log: ClusterLog, partition: Partition): Promise<Recorded[]> {
  const all: Recorded[] = [];
  for await (const event of log[partition].history(0)) all.push(event);
  return all;
}
