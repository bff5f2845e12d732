import type { KeyObject, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { anyKey, foreignRecord } from '../base/foreign-record.ts';
import { instant, type Instant } from '../base/time.ts';
import { isAlternativeName } from './x509-alternative-names.ts';
import { oids, type NameAttribute } from './x509-der.ts';
import { issueLeaf, readCertificate, subjectAttributes } from './x509.ts';

const kubernetesUsersOid = '1.3.9999.1.1';
const kubernetesGroupsOid = '1.3.9999.1.2';
/** Not in Teleport 4.4: software that does not know it ignores it. */
const userLifeOid = '1.3.9999.20.1';
const loggedInOid = '1.3.9999.20.2';
const accessRequestOid = '1.3.9999.20.3';
const hostYearsSeconds = 10 * 365 * 24 * 3600;

/** The holder of a TLS certificate, from its subject. */
export interface TlsIdentity {
  /** A person's name, or `<uuid>.<cluster>`. */
  readonly username: string;
  /** Roles of a person, or the one system role of a machine. */
  readonly groups: readonly string[];
  /** Logins; none for a machine. */
  readonly principals: readonly string[];
  /** Empty when no cluster was requested. */
  readonly routeToCluster: string;
  /** `kubernetes_users` and `kubernetes_groups` among them are also in attributes of their own. */
  readonly traits: Readonly<Record<string, readonly string[]>>;
  /** Which of several successive users of one name this is. Left out where none is named. */
  readonly lifeId?: string;
  /** When a person gave the password. Left out: not recorded. */
  readonly loggedInAt?: Instant | undefined;
  /** Ids of access requests that were approved; whether they count is on the log. Left out: none. */
  readonly accessRequests?: readonly string[];
}

/**
 * Subject layout of Teleport 4.4: CN, O, L, ST, street, postalCode and two private attributes; and three of
 * our own.
 */
function subjectOf(identity: TlsIdentity, traitsText: string): NameAttribute[] {
  const list = (oid: string, values: readonly string[] | undefined): NameAttribute[] =>
    (values ?? []).map((value) => ({ oid, value }));
  if (identity.username === '' || identity.groups.length === 0 || identity.groups.includes(''))
    throw new CodedError('bad_request', 'a certificate needs the name of its holder and at least one role');
  return [
    ...list(oids.organization, identity.groups),
    ...list(oids.locality, identity.principals),
    ...list(oids.province, identity.traits['kubernetes_groups']),
    { oid: oids.street, value: identity.routeToCluster },
    { oid: oids.postalCode, value: traitsText },
    { oid: oids.commonName, value: identity.username },
    ...list(kubernetesUsersOid, identity.traits['kubernetes_users']),
    ...list(kubernetesGroupsOid, identity.traits['kubernetes_groups']),
    ...list(userLifeOid, identity.lifeId === undefined ? [] : [identity.lifeId]),
    ...list(loggedInOid, identity.loggedInAt === undefined ? [] : [identity.loggedInAt]),
    ...list(accessRequestOid, identity.accessRequests),
  ];
}

const traitsText = foreignRecord(
  anyKey,
  z
    .array(z.string())
    .nullable()
    .transform((list) => list ?? []),
).nullable();

/**
 * The holder of a certificate (DER when bytes). The caller has checked who signed it and whether it is valid
 * now. Attributes are collected over all parts of the subject; unknown ones are ignored.
 * @throws CodedError `access_denied` for a subject that could be read in two ways: not exactly one holder, no
 *   role, repeated route or traits, unsound text; for an authority; and for one restricted to a usage (OU),
 *   as none is served here.
 */
export function tlsIdentityOf(certificate: X509Certificate | Uint8Array): TlsIdentity {
  try {
    return identityOf(certificate instanceof Uint8Array ? readCertificate(certificate) : certificate);
  } catch (cause) {
    throw new CodedError('access_denied', 'the TLS certificate names no holder', { cause });
  }
}

function identityOf(certificate: X509Certificate): TlsIdentity {
  if (certificate.ca) throw new Error('an authority is not an identity');
  const attributes = subjectAttributes(certificate);
  const all = (oid: string): string[] => attributes.filter((a) => a.oid === oid).map((a) => a.value);
  const atMostOne = (oid: string): string | undefined => {
    const [first, ...more] = all(oid);
    if (more.length > 0) throw new Error(`subject repeats ${oid}, which must stand once`);
    return first;
  };
  const username = atMostOne(oids.commonName);
  const groups = all(oids.organization);
  const lifeId = atMostOne(userLifeOid);
  const loggedIn = atMostOne(loggedInOid);
  const accessRequests = all(accessRequestOid);
  if (!username) throw new Error('subject names no holder');
  if (groups.length === 0 || groups.includes('')) throw new Error('subject names no role');
  if (all(oids.organizationalUnit).length > 0) throw new Error('restricted to a usage that is not served');
  return {
    username,
    groups,
    principals: all(oids.locality),
    routeToCluster: atMostOne(oids.street) ?? '',
    traits: traitsText.parse(JSON.parse(atMostOne(oids.postalCode) ?? 'null')) ?? {},
    ...(lifeId === undefined ? {} : { lifeId }),
    ...(loggedIn === undefined ? {} : { loggedInAt: instant.parse(loggedIn) }),
    ...(accessRequests.length === 0 ? {} : { accessRequests }),
  };
}

export interface UserTlsRequest {
  readonly publicKey: KeyObject;
  readonly caPem: string;
  readonly caKey: KeyObject;
  readonly identity: TlsIdentity;
  readonly now: Instant;
  readonly ttlSeconds: number;
  /** As `LeafRequest`. */
  readonly serial?: bigint | undefined;
}

/** A person's TLS certificate, signed by the user authority. @throws CodedError as `issueLeaf` */
export const issueUserTlsCertificate = ({ identity, ...rest }: UserTlsRequest): string =>
  issueLeaf({ ...rest, subject: subjectOf(identity, JSON.stringify(identity.traits)), names: [] });

export interface HostTlsRequest {
  readonly publicKey: KeyObject;
  readonly caPem: string;
  readonly caKey: KeyObject;
  readonly hostId: string;
  readonly clusterName: string;
  readonly role: string;
  /** DNS names and IP addresses besides those of the role. */
  readonly additionalPrincipals: readonly string[];
  readonly now: Instant;
  /** Whole seconds from `now`. Left out: ten years, as those of older releases. */
  readonly ttlSeconds?: number | undefined;
  /** As `LeafRequest`. */
  readonly serial?: bigint | undefined;
}

/** Clients know a server of the API by these names. */
const apiNames = ['*.teleport.cluster.local', 'teleport.cluster.local'];

/**
 * A machine's TLS certificate, signed by the host authority. Names that X.509 cannot express are left out: no
 * TLS client can ask for them either, and the SSH certificate has them.
 * @throws CodedError as `issueLeaf`
 */
export function issueHostTlsCertificate(request: HostTlsRequest): string {
  const { hostId, clusterName, role, additionalPrincipals, ttlSeconds, ...rest } = request;
  const usable = additionalPrincipals.filter(isAlternativeName);
  const identity = {
    username: `${hostId}.${clusterName}`,
    groups: [role],
    principals: [],
    routeToCluster: '',
    traits: {},
  };
  return issueLeaf({
    ...rest,
    subject: subjectOf(identity, 'null'),
    names: [...new Set([...(role === 'Node' ? [] : apiNames), ...usable])],
    ttlSeconds: ttlSeconds ?? hostYearsSeconds,
  });
}
