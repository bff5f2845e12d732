import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Caller } from '../api/operation.ts';
import { CodedError } from '../base/errors.ts';
import { formatHostPort } from '../base/service.ts';
import type { Instant } from '../base/time.ts';
import { type SystemRole, systemRole } from '../domain/host-info.ts';
import { type TlsIdentity, tlsIdentityOf } from '../pki/tls-identity.ts';
import { alternativeNamesOf } from '../pki/x509-alternative-names.ts';
import type { PresentedUser } from '../views/user-life.ts';

/** What is true now of those who may call. Asked at every call, so that a lock or a rotation ends open connections. */
export interface CallerFacts {
  now(): Instant;
  clusterName(): string;
  /** X.509 authorities that are trusted now, PEM. */
  authorities(): { readonly user: readonly string[]; readonly host: readonly string[] };
  /** Undefined when the user of this certificate does not exist. */
  activeUser(presented: PresentedUser): { readonly roles: readonly string[] } | undefined;
}

/** What a certificate proves, without what may change. */
interface Proven {
  readonly certificate: X509Certificate;
  /** The authority's certificate that signed it. */
  readonly issuerPem: string;
  readonly issuer: 'user' | 'host';
  readonly username: string;
  readonly groups: readonly string[];
  /** Which user of that name; empty when it does not say. */
  readonly lifeId: string;
  /** DNS names and IP addresses of the certificate. */
  readonly names: readonly string[];
}

/** One message for whatever is wrong with a certificate: its maker learns nothing. */
const refused = (): CodedError =>
  new CodedError('access_denied', 'access denied: the client certificate is not valid here');

/**
 * Says who is at the other end of a TLS connection. A certificate that was presented and does not admit its holder is
 * refused, never taken for none.
 */
export function identifyCallers(facts: CallerFacts): (socket: Socket) => Caller {
  const proofs = new WeakMap<TLSSocket, Proven>();
  return (socket) => {
    const address = formatHostPort({ host: peerHost(socket), port: socket.remotePort ?? 0 });
    if (!(socket instanceof TLSSocket)) throw refused();
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return { kind: 'anyone', address };
    const proven = proofs.get(socket) ?? prove(certificate, facts);
    proofs.set(socket, proven);
    return callerOf(proven, facts, address);
  };
}

/** A connection from within this process has no address. Nor has one that is closed; it is not taken for that. */
const peerHost = ({ remoteAddress, destroyed }: Socket): string =>
  remoteAddress ?? (destroyed ? '' : '127.0.0.1');

/**
 * Finds which authority signed the certificate. The signature is checked against each authority's key: subjects are
 * only names, and what TLS checked was merely that one of all authorities signed.
 */
function prove(certificate: X509Certificate, facts: CallerFacts): Proven {
  const { user, host } = facts.authorities();
  const ofHost = host.find((pem) => signedBy(certificate, pem));
  const ofUser = ofHost === undefined ? user.find((pem) => signedBy(certificate, pem)) : undefined;
  const issuerPem = ofHost ?? ofUser;
  if (issuerPem === undefined || certificate.ca) throw refused();
  const { username, groups, lifeId = '' } = readIdentity(certificate);
  const issuer = ofHost === undefined ? 'user' : 'host';
  return { certificate, issuerPem, issuer, username, groups, lifeId, names: alternativeNamesOf(certificate) };
}

function readIdentity(certificate: X509Certificate): TlsIdentity {
  try {
    return tlsIdentityOf(certificate);
  } catch (cause) {
    throw new CodedError('access_denied', refused().message, { cause });
  }
}

function signedBy(certificate: X509Certificate, authorityPem: string): boolean {
  const authority = new X509Certificate(authorityPem);
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function callerOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  if (!facts.authorities()[proven.issuer].includes(proven.issuerPem)) throw refused();
  const now = Date.parse(facts.now());
  if (now >= proven.certificate.validToDate.getTime())
    throw new CodedError('access_denied', `the certificate of ${proven.username} has expired`);
  if (now < proven.certificate.validFromDate.getTime()) throw refused();
  return proven.issuer === 'host' ? hostOf(proven, facts, address) : userOf(proven, facts, address);
}

/** `<uuid>.<cluster>` with one system role. */
function hostOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  const role = systemRole.safeParse(proven.groups[0]);
  const suffix = `.${facts.clusterName()}`;
  if (!role.success || proven.groups.length !== 1 || !proven.username.endsWith(suffix)) throw refused();
  return {
    kind: 'host',
    hostId: proven.username.slice(0, -suffix.length),
    role: role.data,
    address,
    certifiedNames: proven.names,
  };
}

/**
 * A role of the same name as a machine role, in a person's certificate, is a forgery or a mistake; either way it admits
 * nobody. Roles are those the user has now, not those of the certificate.
 */
function userOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  if (proven.groups.some(isSystemRole)) throw refused();
  const user = facts.activeUser({
    username: proven.username,
    lifeId: proven.lifeId,
    validFromMs: proven.certificate.validFromDate.getTime(),
  });
  if (!user) throw refused();
  return { kind: 'user', username: proven.username, roles: user.roles, address };
}

export const isSystemRole = (name: string): name is SystemRole => systemRole.safeParse(name).success;
