import { X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { z } from 'zod';
import type { Instant } from '../base/time.ts';
import { issueLeaf, oids, subjectAttributes, type NameAttribute } from './x509.ts';

const kubernetesUsersOid = '1.3.9999.1.1';
const kubernetesGroupsOid = '1.3.9999.1.2';
const hostYearsSeconds = 10 * 365 * 24 * 3600;

/** Who the holder of a TLS certificate is, as its subject says. */
export interface TlsIdentity {
  /** A person's name, or `<uuid>.<cluster>`. */
  readonly username: string;
  /** Roles of a person, or the one system role of a machine. */
  readonly groups: readonly string[];
  readonly principals: readonly string[];
  readonly routeToCluster: string;
  readonly traits: Readonly<Record<string, readonly string[]>>;
}

/** Subject layout of Teleport 4.4: CN, O, L, street, postalCode and two private attributes. */
function subjectOf(identity: TlsIdentity, traitsText: string): NameAttribute[] {
  const list = (oid: string, values: readonly string[] | undefined): NameAttribute[] =>
    (values ?? []).map((value) => ({ oid, value }));
  return [
    ...list(oids.organization, identity.groups),
    ...list(oids.locality, identity.principals),
    ...list(oids.province, identity.traits['kubernetes_groups']),
    { oid: oids.street, value: identity.routeToCluster },
    { oid: oids.postalCode, value: traitsText },
    { oid: oids.commonName, value: identity.username },
    ...list(kubernetesUsersOid, identity.traits['kubernetes_users']),
    ...list(kubernetesGroupsOid, identity.traits['kubernetes_groups']),
  ];
}

const traitsText = z
  .record(
    z.string(),
    z
      .array(z.string())
      .nullable()
      .transform((list) => list ?? []),
  )
  .nullable();

/**
 * Reads the subject. The caller has checked who signed the certificate.
 * @throws Error when it does not name exactly one holder with at least one role.
 */
export function tlsIdentityOf(certificate: X509Certificate): TlsIdentity {
  const attributes = subjectAttributes(certificate);
  const all = (oid: string): string[] => attributes.filter((a) => a.oid === oid).map((a) => a.value);
  const [username, ...others] = all(oids.commonName);
  const groups = all(oids.organization);
  if (username === undefined || username === '' || others.length > 0)
    throw new Error('subject does not name one holder');
  if (groups.length === 0) throw new Error('subject names no role');
  const [route = '', ...routes] = all(oids.street);
  const [traits = 'null', ...more] = all(oids.postalCode);
  if (routes.length > 0 || more.length > 0) throw new Error('subject repeats what must stand once');
  return {
    username,
    groups,
    principals: all(oids.locality),
    routeToCluster: route,
    traits: traitsText.parse(JSON.parse(traits)) ?? {},
  };
}

export interface UserTlsRequest {
  readonly publicKey: KeyObject;
  readonly caPem: string;
  readonly caKey: KeyObject;
  readonly identity: TlsIdentity;
  readonly now: Instant;
  readonly ttlSeconds: number;
}

/** A person's TLS certificate, signed by the user authority. */
export const issueUserTlsCertificate = ({ identity, ...rest }: UserTlsRequest): string =>
  issueLeaf({ ...rest, subject: subjectOf(identity, JSON.stringify(identity.traits)), names: [] });

export interface HostTlsRequest {
  readonly publicKey: KeyObject;
  readonly caPem: string;
  readonly caKey: KeyObject;
  readonly hostId: string;
  readonly clusterName: string;
  readonly role: string;
  /** DNS names and IP addresses beside those that the role gives. */
  readonly additionalPrincipals: readonly string[];
  readonly now: Instant;
}

const apiNames = ['*.teleport.cluster.local', 'teleport.cluster.local'];
const dnsName =
  /^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

/** A machine's TLS certificate, signed by the host authority. Names that cannot stand in a certificate are left out. */
export function issueHostTlsCertificate(request: HostTlsRequest): string {
  const { hostId, clusterName, role, additionalPrincipals, ...rest } = request;
  const usable = additionalPrincipals.filter((name) => isIP(name) !== 0 || dnsName.test(name));
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
    ttlSeconds: hostYearsSeconds,
  });
}
