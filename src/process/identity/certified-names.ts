import { canonicalHostPart, isLoopback } from '../../domain/host-text.ts';
import { certifiedNamesOf } from '../../pki/host-certificate-life.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';

/** The names that a machine should have. */
export interface WantedNames {
  readonly nodename: string;
  /** Further names and addresses. */
  readonly additionalPrincipals: readonly string[];
}

/** Configured names and addresses that the certificates of a machine lack. */
export function lackingNames(
  identity: HostIdentity,
  { nodename, additionalPrincipals }: WantedNames,
): readonly string[] {
  const has = new Set(certifiedNamesOf(identity).map(canonicalHostPart));
  // A node never has the names by which every machine knows itself.
  const mayHave = (name: string): boolean => identity.role !== 'Node' || !isLoopback(name);
  return [...new Set([nodename, ...additionalPrincipals])].filter(
    (name) => mayHave(name) && !has.has(canonicalHostPart(name)),
  );
}

/**
 * Those among them that were never requested: an address that is not this machine's alone is not granted,
 * however often it is requested.
 */
export function newNames(identity: HostIdentity, wanted: WantedNames): readonly string[] {
  const asked = new Set((identity.askedNames ?? []).map(canonicalHostPart));
  return lackingNames(identity, wanted).filter((name) => !asked.has(canonicalHostPart(name)));
}

/**
 * The part of the wanted names that the certificates already have; they keep their own name where another one
 * is wanted.
 */
export function namesAlreadyHeld(identity: HostIdentity, wanted: WantedNames): WantedNames {
  const lacking = new Set(lackingNames(identity, wanted));
  return {
    nodename: lacking.has(wanted.nodename)
      ? (certifiedNodename(identity) ?? identity.hostId)
      : wanted.nodename,
    additionalPrincipals: wanted.additionalPrincipals.filter((name) => !lacking.has(name)),
  };
}

/**
 * The nodename is the name that is also there with the cluster's name behind it; the id is there in both
 * forms too, and comes first.
 */
function certifiedNodename(identity: HostIdentity): string | undefined {
  const names = certifiedNamesOf(identity);
  const suffix = `.${identity.clusterName}`;
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .find((name) => name !== identity.hostId && names.includes(name));
}
