import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { anyKey, foreignRecord } from '../base/foreign-record.ts';
import { CodedError } from '../base/errors.ts';
import { instant, type Instant } from '../base/time.ts';
import { clockToleranceSeconds, secondsOf } from './certificate-life.ts';
import { newSerial } from './serial.ts';
import { extensionText, issueCertificate, type Certificate } from './ssh-certificate.ts';
import { toAuthorizedKeyLine, type PublicKey } from './ssh-key.ts';
import { WireError } from './wire.ts';

/** Approved access requests, as a certificate names them. */
export interface HeldRequests {
  /** Whoever decides access looks them up. */
  readonly ids: readonly string[];
  /** What they were approved for: a hint for the holder, by which nobody decides. */
  readonly roles: readonly string[];
}

export interface UserCertificateRequest {
  readonly publicKey: PublicKey;
  readonly ca: KeyObject;
  /** Becomes the key id, which is the identity. */
  readonly username: string;
  /** Logins; at least one. Stock clients use the first as the name for the proxy. */
  readonly principals: readonly string[];
  readonly roles: readonly string[];
  readonly traits: Readonly<Record<string, readonly string[]>>;
  readonly now: Instant;
  /** Whole seconds from `now`, at least one. */
  readonly ttlSeconds: number;
  /** `oldssh` leaves out what OpenSSH 7.1 and older cannot read: roles, traits, route, life, requests. */
  readonly format: 'standard' | 'oldssh';
  readonly permit: {
    readonly pty: boolean;
    readonly portForwarding: boolean;
    readonly agentForwarding: boolean;
  };
  /** Empty when no cluster was requested. */
  readonly routeToCluster: string;
  /** Which of several successive users of one name this is. Left out: none is named. */
  readonly lifeId?: string;
  /** Approved access requests of its holder. Left out: none. */
  readonly accessRequests?: HeldRequests | undefined;
  /** When it can first be renewed without a password: a hint for its holder. */
  readonly renewableFrom?: Instant | undefined;
  /** Left out: a random one. */
  readonly serial?: bigint | undefined;
}

/** A certificate names at most so many access requests. */
export const maxRequests = 16;

/** Not in Teleport 4.4: software that does not know it ignores it. */
const lifeExtension = 'teleport-user-life';
const renewableExtension = 'teleport-renewable-from';
const requestedRolesExtension = 'teleport-requested-roles';
const requestsExtension = 'teleport-active-requests';

/**
 * Signs a person's SSH certificate; one line. The caller has decided that the principals are allowed.
 * @throws CodedError `bad_request` without a username, with invalid principals, or without any time to live.
 *   Source: OpenSSH PROTOCOL.certkeys; extensions as Teleport 4.4 names them.
 */
export function issueUserSshCertificate(request: UserCertificateRequest): string {
  const { permit, format, now, username, ttlSeconds } = request;
  if (username === '') throw new CodedError('bad_request', 'a user certificate needs the name of its user');
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1)
    throw new CodedError('bad_request', `a certificate cannot live for ${ttlSeconds} seconds`);
  const extensions: Record<string, string> = {};
  if (permit.pty) extensions['permit-pty'] = '';
  if (permit.portForwarding) extensions['permit-port-forwarding'] = '';
  if (permit.agentForwarding) extensions['permit-agent-forwarding'] = '';
  if (format === 'standard') {
    extensions['teleport-roles'] = JSON.stringify({ version: 'v1', roles: request.roles });
    extensions['teleport-traits'] = JSON.stringify(request.traits);
    if (request.routeToCluster !== '') extensions['teleport-route-to-cluster'] = request.routeToCluster;
    if (request.lifeId !== undefined) extensions[lifeExtension] = request.lifeId;
    Object.assign(extensions, extensionsOf(request.accessRequests));
    if (request.renewableFrom !== undefined) extensions[renewableExtension] = request.renewableFrom;
  }
  const certificate = issueCertificate({
    key: request.publicKey,
    ca: request.ca,
    kind: 'user',
    keyId: username,
    principals: [...request.principals],
    validAfter: secondsOf(now) - clockToleranceSeconds,
    validBefore: secondsOf(now) + BigInt(ttlSeconds),
    extensions,
    serial: request.serial ?? newSerial(),
  });
  return toAuthorizedKeyLine(certificate);
}

function extensionsOf(held: HeldRequests | undefined): Readonly<Record<string, string>> {
  if (held === undefined || held.ids.length === 0) return {};
  return {
    [requestsExtension]: JSON.stringify({ access_requests: held.ids }),
    [requestedRolesExtension]: JSON.stringify(held.roles),
  };
}

export interface UserIdentity {
  readonly username: string;
  readonly principals: readonly string[];
  readonly roles: readonly string[];
  readonly traits: Readonly<Record<string, readonly string[]>>;
  readonly routeToCluster: string;
  readonly lifeId: string;
  /** Ids of access requests that were approved; whether they count is on the log. */
  readonly accessRequests: readonly string[];
}

const rolesText = z.object({ version: z.literal('v1'), roles: z.array(z.string()) });
const requestsText = z.object({ access_requests: z.array(z.string().max(64)).max(maxRequests) });
const traitsText = foreignRecord(
  anyKey,
  z
    .array(z.string())
    .nullable()
    .transform((list) => list ?? []),
);

/**
 * The content of a person's certificate, which the caller has checked. Roles, traits, route, life and
 * requests are empty when it was made as `oldssh`.
 * @throws WireError for a certificate of a host, without a key id, or with invalid extensions.
 */
export function userIdentityOf(certificate: Certificate): UserIdentity {
  if (certificate.kind !== 'user' || certificate.keyId === '')
    throw new WireError('not the certificate of a user');
  return {
    username: certificate.keyId,
    principals: certificate.principals,
    roles: json(certificate, 'teleport-roles', rolesText)?.roles ?? [],
    traits: json(certificate, 'teleport-traits', traitsText) ?? {},
    routeToCluster: extensionText(certificate, 'teleport-route-to-cluster') ?? '',
    lifeId: lifeIdOf(certificate),
    accessRequests: json(certificate, requestsExtension, requestsText)?.access_requests ?? [],
  };
}

/**
 * Which of several users of one name it was issued to; empty in a certificate without it. @throws WireError
 */
export const lifeIdOf = (certificate: Certificate): string => extensionText(certificate, lifeExtension) ?? '';

/** The roles of its access requests, for its holder to read; never to decide by. @throws WireError */
export const requestedRolesOf = (certificate: Certificate): readonly string[] =>
  json(certificate, requestedRolesExtension, z.array(z.string())) ?? [];

/** When its cluster may first renew it without a password; undefined: never. @throws WireError */
export function renewableFromOf(certificate: Certificate): Instant | undefined {
  const parsed = instant.safeParse(extensionText(certificate, renewableExtension));
  return parsed.success ? parsed.data : undefined;
}

function json<T extends z.ZodType>(
  certificate: Certificate,
  name: string,
  schema: T,
): z.output<T> | undefined {
  const text = extensionText(certificate, name);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new WireError(`extension ${name} does not hold what it should`, { cause });
  }
}
