import type { joinCluster, Joining, JoinTrust, tryIdentity, Verdict } from '../../api/join-client.ts';
import { backoffMs, randomFraction } from '../../base/backoff.ts';
import { CodedError, errorCodes, isCoded } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { generateEd25519 } from '../../pki/key-pair.ts';
import { lackingNames, type WantedNames } from './certified-names.ts';
import { identityPath, loadIdentity, replaceIdentity, saveShown } from './identity-store.ts';
import { readToken, type JoinSettings } from '../configuration/join-settings.ts';

/** What a role needs to join a cluster. */
export interface IdentityDeps {
  readonly settings: JoinSettings;
  readonly dataDir: string;
  readonly world: World;
  readonly sink: LogSink;
  /** For warnings that an operator must not miss: they reach standard error, wherever the log goes. */
  readonly warn: (text: string) => void;
  /** Called with what it waits for now, for `/readyz`; undefined: nothing. */
  readonly waitsFor: (text: string | undefined) => void;
  /** Ends the wait: `obtainIdentity` rejects. */
  readonly stopping: AbortSignal;
  /** Awaited before each attempt, and before its result is used; also resolves when `stopping` is aborted. */
  readonly pass: () => Promise<void>;
  /** How auth servers are called; `api/join-client.ts`. */
  readonly contact: { readonly joinCluster: typeof joinCluster; readonly tryIdentity: typeof tryIdentity };
  /** Resolves early when `signal` is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

export type Machine = Omit<Joining, 'key' | 'token'>;

/** A fault that may pass by itself is retried soon; one that somebody has to fix is not logged as often. */
const soon = { baseMs: second / 2, maxMs: 10 * second };
const later = { fromMs: 30 * second, toMs: 60 * second };

/** Source: reference 4.4, join. */
const unvalidated =
  'Joining cluster without validating the identity of the Auth Server. This may open you up to a Man-In-The-Middle (MITM) ' +
  'attack if an attacker can gain privileged network access. To remedy this, use the CA pin value provided when join token ' +
  'was generated to validate the identity of the Auth Server (ca_pin, --ca-pin).';

/**
 * The identity of this machine in a role: the stored one, once an auth server has accepted it, or a new one
 * in exchange for the token. Tries until there is one, and logs at each failure what was tried, why it failed
 * and what comes next.
 * @throws CodedError `misconfigured` when there is neither an identity nor a token, or the stored one is
 *   damaged; `unavailable` when `stopping` is aborted.
 */
export async function obtainIdentity(deps: IdentityDeps, machine: Machine): Promise<HostIdentity> {
  const { settings, dataDir, world, sink, stopping, waitsFor, contact, pause } = deps;
  const stored = loadIdentity(dataDir, machine.role, machine.hostId);
  if (stored === undefined) assertToken(settings, identityPath(dataDir, machine.role));
  // One key for all attempts, so that an auth server whose reply was lost recognises us.
  const joining = { ...machine, key: generateEd25519(), token: () => readToken(settings) };
  let warned = false;
  const join = (trust: JoinTrust): Promise<HostIdentity> => {
    if (trust.pins.length === 0 && trust.known === undefined && !warned) deps.warn(unvalidated);
    warned = true;
    return contact.joinCluster(trust, joining, world);
  };
  const mayGoOn = async (): Promise<void> => {
    await deps.pass();
    if (stopping.aborted) throw new CodedError('unavailable', 'stopped before it joined a cluster');
  };
  for (let n = 1; ; n++) {
    await mayGoOn();
    let identity: HostIdentity;
    try {
      identity =
        stored === undefined ? await joinFirst(deps, join) : await confirm(stored, deps, join, n === 1);
    } catch (e) {
      if (!isCoded(e)) throw e;
      const waitMs = waitBefore(n, e, world);
      const failure = `${machine.role} failed to establish connection to cluster: ${e.message}`;
      sink.error(`${failure}. Retrying in ${Math.ceil(waitMs / second)} s`);
      waitsFor(failure);
      await pause(waitMs, stopping);
      continue;
    }
    await mayGoOn();
    waitsFor(undefined);
    return identity;
  }
}

type Join = (trust: JoinTrust) => Promise<HostIdentity>;

async function joinFirst({ settings, dataDir, sink }: IdentityDeps, join: Join): Promise<HostIdentity> {
  const identity = await join({ servers: settings.authServers, pins: settings.pins });
  saveShown(dataDir, { client: identity, server: identity });
  sink.info(`this machine joined the cluster as ${identity.role}`, described(identity));
  return identity;
}

/**
 * The stored identity when an auth server accepts it; else, with a pin that matches and the token, one of the
 * new cluster.
 */
async function confirm(
  stored: HostIdentity,
  deps: IdentityDeps,
  join: Join,
  hurried: boolean,
): Promise<HostIdentity> {
  const { settings, dataDir, world, sink, contact } = deps;
  const verdicts: Exclude<Verdict, { status: 'admitted' }>[] = [];
  for (const server of settings.authServers) {
    // In the first round, a server that does not even complete the handshake is given up soon in favour of
    // the others.
    const greetingMs = hurried && settings.authServers.length > 1 ? second : undefined;
    const verdict = await contact.tryIdentity(server, stored, world, greetingMs);
    if (verdict.status === 'admitted') return stored;
    verdicts.push(verdict);
  }
  const refusals = verdicts.filter((verdict) => verdict.status === 'refused');
  if (refusals.length === 0) throw new CodedError('unavailable', verdicts.map(reasonOf).join('; '));
  const path = identityPath(dataDir, stored.role);
  sink.warn('the identity of this machine was refused', {
    ...described(stored),
    file: path,
    why: refusals.map(reasonOf).join('; '),
  });
  const byOwn = refusals.filter(({ by }) => by === 'own-cluster');
  const servers = (byOwn.length > 0 ? byOwn : refusals).map(({ server }) => server);
  if (byOwn.length === 0 && settings.pins.length === 0) throw unknownAuthority(stored, servers, path);
  const identity = await join(
    byOwn.length > 0
      ? { servers, pins: settings.pins, known: stored.tlsCasPem }
      : { servers, pins: settings.pins },
  );
  const aside = replaceIdentity(dataDir, identity, world.now());
  sink.warn(
    `this machine joined again as ${identity.role} with the configured token; the old identity is kept`,
    {
      ...described(identity),
      kept: aside,
    },
  );
  return identity;
}

const reasonOf = ({ server, reason }: { readonly server: HostPort; readonly reason: string }): string =>
  `${formatHostPort(server)}: ${reason}`;

const described = ({ hostId, role, clusterName, tlsCasPem }: HostIdentity): Record<string, string> => ({
  hostId,
  role,
  cluster: clusterName,
  caPin: tlsCasPem.map(caPinOf).join(','),
});

function unknownAuthority(stored: HostIdentity, servers: readonly HostPort[], path: string): CodedError {
  const pins = stored.tlsCasPem.map(caPinOf).join(', ');
  return new CodedError(
    'access_denied',
    `${servers.map(formatHostPort).join(', ')} has another certificate authority than the cluster "${stored.clusterName}" ` +
      `that this machine is in (${pins}, ${path}). Either its authority was rotated while this machine was away, or the auth ` +
      'server was set up from scratch, or another machine answers in its place; without a pin nobody can tell, so nothing was ' +
      'sent. If it was rotated or set up from scratch: set ca_pin to what "tctl status" prints there, auth_token to a token of ' +
      'it, and start again',
  );
}

function assertToken(settings: JoinSettings, path: string): void {
  if (settings.token !== undefined) return;
  throw new CodedError(
    'misconfigured',
    `this machine is in no cluster yet (there is no ${path}) and has no token to join one with: on an auth server run ` +
      '"tctl nodes add" or "tctl tokens add", and set auth_token and ca_pin (--token, --ca-pin); ' +
      'or let the process have the auth role (--roles=auth,proxy,node)',
  );
}

/** Full jitter, but never zero. */
function waitBefore(n: number, e: CodedError, world: World): number {
  const random = randomFraction(world);
  return errorCodes[e.code].retry
    ? backoffMs(n, soon.baseMs, soon.maxMs, 0.5 + random / 2)
    : later.fromMs + (later.toMs - later.fromMs) * random;
}

/** Logs which requested names the certificates still lack. */
export function tellLackingNames(identity: HostIdentity, wanted: WantedNames, sink: LogSink): void {
  const lacking = lackingNames(identity, wanted);
  if (lacking.length > 0)
    sink.warn(
      `clients cannot reach this ${identity.role} by names that its certificate lacks: ${lacking.join(', ')}; ` +
        'an address that another host has is never given',
    );
}
