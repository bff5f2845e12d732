import type { KeyObject } from 'node:crypto';
import { CodedError, errorCodes, isCoded, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { checkHostIdentity } from '../pki/check-host-identity.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { privateKeyPem } from '../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { callOperation } from './call-operation.ts';
import { type Dialable, dialOneOf } from './dial-servers.ts';
import { type HttpClient, httpOver } from './http-over.ts';
import { type HostAuthorities, pingCluster, readHostAuthorities } from './operations/cluster.ts';
import { joinHost } from './operations/host.ts';
import { isNoAnswerInTime } from './no-answer.ts';
import { patienceMs } from './patience.ts';
import {
  authServerName,
  type OpenThrough,
  type TlsMaterial,
  tlsServer,
  unverifiedServer,
} from './tls-dial.ts';
import { inWords, tlsFailureOf } from './tls-failures.ts';
import { authoritiesToTrust } from './trust-authorities.ts';

/** A machine that wants to be certified for one role. */
export interface Joining {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: 'Proxy' | 'Node';
  readonly additionalPrincipals: readonly string[];
  /**
   * Ed25519. The same at each attempt, so that an auth server recognises a machine that it has already
   * admitted.
   */
  readonly key: KeyObject;
  /** The secret; called when a server is trusted, never before. @throws CodedError when there is none. */
  readonly token: () => string;
}

/** Which servers to ask, and what to trust. */
export interface JoinTrust {
  readonly servers: readonly HostPort[];
  /** `sha256:<hex>` */
  readonly pins: readonly string[];
  /** Authorities (PEM) that this machine already knows to be the cluster's. Pins are not needed then. */
  readonly known?: readonly string[];
  /** How the servers are reached. Default: they are dialled. */
  readonly through?: OpenThrough | undefined;
}

const limits = { timeoutMs: patienceMs, maxAnswerBytes: 1024 * 1024 };

/**
 * When several servers are listed, one that does not even greet is soon given up for the others, and tried
 * with full patience only when none of them could serve.
 */
const rounds = [
  { greetingMs: 1_000, attempts: 1 },
  { greetingMs: undefined, attempts: undefined },
] as const;
type Round = (typeof rounds)[number];

/** The result from one server. A reply from the cluster itself counts for all its servers. */
type Outcome =
  | { readonly status: 'joined'; readonly identity: HostIdentity }
  | { readonly status: 'refused'; readonly e: CodedError };

/**
 * Certifies this machine. Each server is tried: its authorities are read over a connection that nobody
 * verifies and compared with the pins, and the token is sent over a second one, which only the holder of such
 * an authority can accept.
 * @throws CodedError `unavailable` when no server can be asked now, with the reason for each; otherwise the
 *   refusal of this machine or of its trust (`errorCodes` has whether it may pass by itself).
 */
export async function joinCluster(trust: JoinTrust, joining: Joining, world: World): Promise<HostIdentity> {
  const failures = new Map<HostPort, CodedError>();
  for (const { server, round } of inRounds(trust.servers, (one) => isNoAnswerInTime(failures.get(one)))) {
    try {
      const outcome = await joinAt(server, trust, joining, { world, through: trust.through, ...round });
      if (outcome.status === 'joined') return outcome.identity;
      failures.set(server, outcome.e);
      break;
    } catch (e) {
      if (!isCoded(e)) throw e;
      failures.set(server, e);
    }
  }
  throw summary([...failures].map(([server, e]) => ({ server: formatHostPort(server), e })));
}

/**
 * Each server once, and then with more patience those that were silent. If there is only one there is no need
 * to hurry.
 */
function* inRounds(
  servers: readonly HostPort[],
  wasSilent: (server: HostPort) => boolean,
): Generator<{ readonly server: HostPort; readonly round: Round }> {
  const [hurried, patient] = rounds;
  if (servers.length > 1) for (const server of servers) yield { server, round: hurried };
  for (const server of servers)
    if (servers.length === 1 || wasSilent(server)) yield { server, round: patient };
}

/** How a server is asked. */
export interface Asking {
  readonly world: World;
  /** Longest wait for its greeting. Default: the usual. */
  readonly greetingMs?: number | undefined;
  /** As in `CallOptions`. */
  readonly attempts?: number | undefined;
  /** How it is reached. Default: it is dialled. */
  readonly through?: OpenThrough | undefined;
}

interface Failure {
  readonly server: string;
  readonly e: CodedError;
}

/** Errors that somebody has to fix come before those that may pass. */
function summary(failures: readonly Failure[]): CodedError {
  const lasting = failures.filter(({ e }) => !errorCodes[e.code].retry);
  const code = lasting[0]?.e.code ?? 'unavailable';
  const all = [...lasting, ...failures.filter((one) => !lasting.includes(one))];
  return new CodedError(code, all.map(({ server, e }) => `${server}: ${messageOf(e)}`).join('; '), {
    cause: all[0]?.e,
  });
}

async function joinAt(
  server: HostPort,
  trust: JoinTrust,
  joining: Joining,
  asking: Asking,
): Promise<Outcome> {
  const { world, attempts, through } = asking;
  const ca = trust.known ?? (await authoritiesOf(server, trust.pins, asking));
  const { hostId, nodename, role, additionalPrincipals, key } = joining;
  const about = {
    hostId,
    nodename,
    role,
    additionalPrincipals: [...additionalPrincipals],
    publicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
    token: joining.token(),
  };
  const verified = tlsServer(server, { ca, serverName: authServerName }, through);
  try {
    const answer = await over(verified, asking, (http) =>
      callOperation(http, joinHost, { ...about, sentAt: world.now() }, world, { ...limits, attempts }),
    );
    const identity: HostIdentity = {
      ...{ hostId, role, privateKeyPem: privateKeyPem(key), ...answer },
      askedNames: [nodename, ...additionalPrincipals],
    };
    checkHostIdentity(identity);
    return { status: 'joined', identity };
  } catch (e) {
    if (tlsFailureOf(e) === undefined && isCoded(e) && !errorCodes[e.code].retry)
      return { status: 'refused', e };
    throw inWords(e, believedIn(trust), world.now());
  }
}

function believedIn({ known, pins }: JoinTrust): string {
  if (known !== undefined) return 'an authority this machine knows';
  return pins.length === 0
    ? 'the authority it named'
    : 'an authority with a configured pin (while authorities are rotated, give every pin that "tctl status" prints)';
}

/**
 * The authorities that a server claims and that may be trusted. @throws CodedError as `authoritiesToTrust`
 */
export const readTrusted = (
  server: HostPort,
  pins: readonly string[],
  world: World,
): Promise<readonly string[]> => authoritiesOf(server, pins, { world });

async function authoritiesOf(
  server: HostPort,
  pins: readonly string[],
  asking: Asking,
): Promise<readonly string[]> {
  const signer = await readClaimed(server, asking);
  return authoritiesToTrust({ server: formatHostPort(server), signer }, pins, asking.world.now());
}

/**
 * What a server says of the host authorities, over a connection that nobody checks: whoever reads it believes
 * only what a key vouches for that was known before. @throws CodedError when none answers there.
 */
export function readClaimed(server: HostPort, asking: Asking): Promise<HostAuthorities> {
  const { world, attempts } = asking;
  return over(unverifiedServer(server, asking.through), asking, (http) =>
    callOperation(http, readHostAuthorities, {}, world, { ...limits, attempts }),
  ).catch((e: unknown) => {
    throw inWords(e, 'anybody', world.now());
  });
}

/** One auth server's verdict on an identity. */
export type Verdict =
  | { readonly status: 'admitted' }
  | { readonly status: 'away'; readonly server: HostPort; readonly reason: string }
  /**
   * `stranger`: the server belongs to none of the authorities in the identity; otherwise it refused the
   * identity itself.
   */
  | {
      readonly status: 'refused';
      readonly by: 'stranger' | 'own-cluster';
      readonly server: HostPort;
      readonly reason: string;
    };

/**
 * Presents the identity to one auth server. Nothing secret is sent: the private key only signs the handshake.
 * @param greetingMs longest wait for its greeting; default: the usual.
 * @param through how it is reached; default: it is dialled.
 */
export async function tryIdentity(
  server: HostPort,
  identity: HostIdentity,
  world: World,
  greetingMs?: number,
  through?: OpenThrough,
): Promise<Verdict> {
  const tls: TlsMaterial = {
    key: identity.privateKeyPem,
    cert: identity.tlsCertificatePem,
    ca: identity.tlsCasPem,
    serverName: authServerName,
  };
  try {
    await over(tlsServer(server, tls, through), { world, greetingMs }, (http) =>
      callOperation(http, pingCluster, {}, world, limits),
    );
    return { status: 'admitted' };
  } catch (e) {
    const stranger = tlsFailureOf(e) === 'stranger';
    const { code, message: reason } = inWords(e, 'an authority this machine knows', world.now());
    return stranger || code === 'access_denied'
      ? { status: 'refused', by: stranger ? 'stranger' : 'own-cluster', server, reason }
      : { status: 'away', server, reason };
  }
}

/** Connects, acts, closes. */
async function over<T>(
  server: Dialable,
  { world, greetingMs }: Asking,
  act: (http: HttpClient) => Promise<T>,
): Promise<T> {
  const http = httpOver(dialOneOf([server], world, { timeoutMs: greetingMs }), true);
  try {
    return await act(http);
  } finally {
    http.close();
  }
}
