import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Caller, ShownCertificate } from '../api/operation.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import { clientOf } from '../base/client-of.ts';
import { formatHostPort } from '../base/service.ts';
import type { Instant } from '../base/time.ts';
import { type SystemRole, systemRole } from '../domain/host-info.ts';
import { joinRole } from '../domain/join-token.ts';
import type { LockSubject } from '../domain/lock.ts';
import { issuedBy } from '../pki/issued-by.ts';
import { serialOfX509, serialText } from '../pki/serial.ts';
import { fingerprint, publicKeyOf } from '../pki/ssh-key.ts';
import { type TlsIdentity, tlsIdentityOf } from '../pki/tls-identity.ts';
import { alternativeNamesOf } from '../pki/x509-alternative-names.ts';
import { refusedAsWithdrawn, type WithdrawnAuthority } from './withdrawn-keys.ts';
import type { PresentedForeigner } from '../views/foreign-person.ts';
import type { Traits } from '../domain/role-spec.ts';
import type { PresentedUser } from '../views/user-life.ts';

/**
 * What is true now of possible callers. Asked at every call, so that a lock or a rotation ends open
 * connections.
 */
export interface CallerFacts {
  now(): Instant;
  clusterName(): string;
  /** X.509 authorities that are trusted now, PEM. */
  authorities(): { readonly user: readonly string[]; readonly host: readonly string[] };
  /** X.509 user authorities of clusters that are trusted and enabled now, PEM. */
  foreignAuthorities(): readonly string[];
  /** Who somebody is whose certificate one of these has signed; undefined: nobody here. */
  foreignUser(
    issuerPem: string,
    presented: PresentedForeigner,
  ): { readonly username: string; readonly roles: readonly string[]; readonly traits: Traits } | undefined;
  /** Those that were trusted before, the newest first. */
  withdrawn(): readonly WithdrawnAuthority[];
  /**
   * Undefined when the user of this certificate does not exist. The roles are those that the user has now,
   * and those of the access requests that count.
   */
  activeUser(
    presented: PresentedUser & { readonly serial: string; readonly accessRequests: readonly string[] },
  ): { readonly roles: readonly string[]; readonly administers: boolean } | undefined;
  /** The text of the lock that applies to this subject; undefined when it is not locked. */
  lockedBy(subject: LockSubject): string | undefined;
}

/** What a certificate proves, without anything that may change. */
interface Proven {
  readonly certificate: X509Certificate;
  /** The authority's certificate that signed it. */
  readonly issuerPem: string;
  /** `foreign`: the user authority of a cluster that is trusted. */
  readonly issuer: 'user' | 'host' | 'foreign';
  readonly username: string;
  readonly groups: readonly string[];
  /** Which user of that name; empty when the certificate does not name one. */
  readonly lifeId: string;
  /** What another cluster says of its holder. */
  readonly presented: Omit<PresentedForeigner, 'serial'>;
  readonly shown: ShownCertificate;
  /** DNS names and IP addresses of the certificate. */
  readonly names: readonly string[];
  /** Fingerprint of its key, as SSH writes it; undefined for a key type that SSH does not support here. */
  readonly key: string | undefined;
  readonly serial: bigint;
}

/**
 * One message for anything that is wrong with a certificate, so that its maker learns nothing. A certificate
 * under a key that was withdrawn is an exception: it was valid, and is refused with what became of the key.
 */
const refused = (): CodedError =>
  new CodedError('access_denied', 'access denied: the client certificate is not valid here');

const refusedBy = (authority: WithdrawnAuthority | undefined): CodedError =>
  authority === undefined ? refused() : refusedAsWithdrawn(authority);

/**
 * Identifies the caller at the other end of a TLS connection. A certificate that was presented and does not
 * admit its holder is refused, never treated as if none had been presented.
 */
export function identifyCallers(facts: CallerFacts): (socket: Socket) => Caller {
  const proofs = new WeakMap<TLSSocket, Proven>();
  return (socket) => {
    const address = addressOf(socket);
    if (!(socket instanceof TLSSocket)) throw refused();
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return { kind: 'anyone', address };
    const proven = proofs.get(socket) ?? prove(certificate, facts);
    proofs.set(socket, proven);
    return callerOf(proven, facts, address);
  };
}

/**
 * A connection from within this process has no address. Neither has one that is closed, which is not mistaken
 * for it.
 */
const addressOf = (socket: Socket): string =>
  formatHostPort(clientOf(socket).address ?? { host: socket.destroyed ? '' : '127.0.0.1', port: 0 });

/**
 * Finds which authority signed the certificate. The signature is checked against each authority's key:
 * subjects are only names, and TLS checked only that some authority signed.
 */
function prove(certificate: X509Certificate, facts: CallerFacts): Proven {
  const { user, host } = facts.authorities();
  const ofHost = host.find((pem) => issuedBy(certificate, pem));
  const ofUser = ofHost === undefined ? user.find((pem) => issuedBy(certificate, pem)) : undefined;
  const isOwn = ofHost !== undefined || ofUser !== undefined;
  const issuerPem = ofHost ?? ofUser ?? facts.foreignAuthorities().find((pem) => issuedBy(certificate, pem));
  if (certificate.ca) throw refused();
  if (issuerPem === undefined)
    throw refusedBy(facts.withdrawn().find(({ certificatePem }) => issuedBy(certificate, certificatePem)));
  const identity = readIdentity(certificate);
  const { username, groups, lifeId = '', routeToCluster, loggedInAt, accessRequests = [] } = identity;
  const issuer = !isOwn ? 'foreign' : ofHost === undefined ? 'user' : 'host';
  return {
    ...{ certificate, issuerPem, issuer, username, groups, lifeId },
    presented: { ...{ username, roles: groups }, principals: identity.principals, traits: identity.traits },
    shown: {
      serial: serialText(serialOfX509(certificate)),
      lifeId,
      routeToCluster,
      validUntil: certificate.validToDate.toISOString(),
      authorityPem: issuerPem,
      loggedInAt,
      accessRequests,
    },
    names: alternativeNamesOf(certificate),
    key: keyOf(certificate),
    serial: serialOfX509(certificate),
  };
}

function keyOf(certificate: X509Certificate): string | undefined {
  try {
    return fingerprint(publicKeyOf(certificate.publicKey).blob);
  } catch (e) {
    if (!isCoded(e)) throw e;
    return undefined;
  }
}

function readIdentity(certificate: X509Certificate): TlsIdentity {
  try {
    return tlsIdentityOf(certificate);
  } catch (cause) {
    throw new CodedError('access_denied', refused().message, { cause });
  }
}

function callerOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  const trusted =
    proven.issuer === 'foreign' ? facts.foreignAuthorities() : facts.authorities()[proven.issuer];
  if (!trusted.includes(proven.issuerPem))
    throw refusedBy(facts.withdrawn().find(({ certificatePem }) => certificatePem === proven.issuerPem));
  const now = Date.parse(facts.now());
  if (now >= proven.certificate.validToDate.getTime())
    throw new CodedError('access_denied', `the certificate of ${proven.username} has expired`);
  if (now < proven.certificate.validFromDate.getTime()) throw refused();
  switch (proven.issuer) {
    case 'host':
      return hostOf(proven, facts, address);
    case 'user':
      return userOf(proven, facts, address);
    case 'foreign':
      return foreignOf(proven, facts, address);
  }
}

/** `<uuid>.<cluster>` with one system role. */
function hostOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  const role = systemRole.safeParse(proven.groups[0]);
  const suffix = `.${facts.clusterName()}`;
  if (!role.success || proven.groups.length !== 1 || !proven.username.endsWith(suffix)) throw refused();
  // Machines that joined are refused by those calls that keep them in the cluster. They may still deliver the
  // audit events they have recorded, and must learn of it when the lock ends.
  if (!joinRole.safeParse(role.data).success) requireUnlocked(facts, { serial: proven.serial });
  return {
    kind: 'host',
    hostId: proven.username.slice(0, -suffix.length),
    role: role.data,
    address,
    certifiedNames: proven.names,
    serial: proven.serial,
    ...(proven.key !== undefined && { key: proven.key }),
  };
}

/**
 * A role in a person's certificate that has the name of a machine role is a forgery or a mistake, and admits
 * nobody. The roles are those that the user has now, not those in the certificate; access requests that it
 * names add theirs.
 */
function userOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  if (proven.groups.some(isSystemRole)) throw refused();
  const user = facts.activeUser({
    username: proven.username,
    lifeId: proven.lifeId,
    validFromMs: proven.certificate.validFromDate.getTime(),
    serial: proven.shown.serial,
    accessRequests: proven.shown.accessRequests,
  });
  if (!user) throw refused();
  requireUnlocked(facts, {
    user: proven.username,
    roles: [...user.roles, ...proven.groups],
    serial: proven.serial,
  });
  return {
    kind: 'user',
    username: proven.username,
    roles: user.roles,
    address,
    administers: user.administers,
    certificate: proven.shown,
  };
}

/**
 * Somebody of another cluster: what there is here of users, lives and access requests is about others. The
 * name of a machine role among theirs is a role there like any other, and the map decides what it gives.
 */
function foreignOf(proven: Proven, facts: CallerFacts, address: string): Caller {
  const { serial } = proven;
  const person = facts.foreignUser(proven.issuerPem, { ...proven.presented, serial });
  if (!person || person.roles.some(isSystemRole)) throw refused();
  requireUnlocked(facts, { user: person.username, roles: person.roles, serial });
  return { kind: 'foreign', ...person, address };
}

function requireUnlocked(facts: CallerFacts, subject: LockSubject): void {
  const text = facts.lockedBy(subject);
  if (text !== undefined) throw new CodedError('access_denied', text);
}

export const isSystemRole = (name: string): name is SystemRole => systemRole.safeParse(name).success;
