import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { Instant } from '../base/time.ts';
import { issueCertificate, type Certificate } from './ssh-certificate.ts';
import { toAuthorizedKeyLine, type PublicKey } from './ssh-key.ts';
import { Reader, WireError } from './wire.ts';

/** Clocks of two machines may differ by so much: certificates begin to hold this long before they were made. */
export const backDateSeconds = 60n;

export const secondsOf = (at: Instant): bigint => BigInt(Math.floor(Date.parse(at) / 1000));

export interface UserCertificateRequest {
  readonly publicKey: PublicKey;
  readonly ca: KeyObject;
  readonly username: string;
  /** Logins; at least one. */
  readonly principals: readonly string[];
  readonly roles: readonly string[];
  readonly traits: Readonly<Record<string, readonly string[]>>;
  readonly now: Instant;
  readonly ttlSeconds: number;
  /** `oldssh` leaves out what OpenSSH 7.1 and older cannot read: roles, traits, route. */
  readonly format: 'standard' | 'oldssh';
  readonly permit: {
    readonly pty: boolean;
    readonly portForwarding: boolean;
    readonly agentForwarding: boolean;
  };
  readonly routeToCluster: string;
}

/**
 * Signs a person's SSH certificate; one line. The caller has decided that the principals are allowed.
 * Source: OpenSSH PROTOCOL.certkeys; extensions as Teleport 4.4 names them.
 */
export function issueUserSshCertificate(request: UserCertificateRequest): string {
  const { permit, format, now } = request;
  const extensions: Record<string, string> = {};
  if (permit.pty) extensions['permit-pty'] = '';
  if (permit.portForwarding) extensions['permit-port-forwarding'] = '';
  if (permit.agentForwarding) extensions['permit-agent-forwarding'] = '';
  if (format === 'standard') {
    extensions['teleport-roles'] = JSON.stringify({ version: 'v1', roles: request.roles });
    extensions['teleport-traits'] = JSON.stringify(request.traits);
    if (request.routeToCluster !== '') extensions['teleport-route-to-cluster'] = request.routeToCluster;
  }
  const certificate = issueCertificate({
    key: request.publicKey,
    ca: request.ca,
    kind: 'user',
    keyId: request.username,
    principals: [...request.principals],
    validAfter: secondsOf(now) - backDateSeconds,
    validBefore: secondsOf(now) + BigInt(request.ttlSeconds),
    extensions,
  });
  return toAuthorizedKeyLine(certificate);
}

export interface UserIdentity {
  readonly username: string;
  readonly principals: readonly string[];
  readonly roles: readonly string[];
  readonly traits: Readonly<Record<string, readonly string[]>>;
  readonly routeToCluster: string;
}

const rolesText = z.object({ version: z.literal('v1'), roles: z.array(z.string()) });
const traitsText = z.record(
  z.string(),
  z
    .array(z.string())
    .nullable()
    .transform((list) => list ?? []),
);

/**
 * What a person's certificate says. The caller has checked the certificate.
 * @throws WireError when an extension does not hold what its name promises.
 */
export function userIdentityOf(certificate: Certificate): UserIdentity {
  return {
    username: certificate.keyId,
    principals: certificate.principals,
    roles: json(certificate, 'teleport-roles', rolesText)?.roles ?? [],
    traits: json(certificate, 'teleport-traits', traitsText) ?? {},
    routeToCluster: extensionText(certificate, 'teleport-route-to-cluster') ?? '',
  };
}

/** The text of an extension; undefined when the certificate has none of that name. */
export function extensionText(certificate: Certificate, name: string): string | undefined {
  const data = certificate.extensions.get(name);
  if (data === undefined) return undefined;
  const reader = new Reader(data);
  const text = reader.text();
  reader.end();
  return text;
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
