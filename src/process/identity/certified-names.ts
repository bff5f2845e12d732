import { canonicalHostPart, isLoopback } from '../../domain/host-text.ts';
import { certifiedNamesOf } from '../../pki/host-certificate-life.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';

/** What a machine is to be called. */
export interface WantedNames {
  readonly nodename: string;
  /** Further names and addresses. */
  readonly additionalPrincipals: readonly string[];
}

/** Names and addresses that the certificates of a machine lack, though it is configured to have them. */
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
 * Of those, what was never asked for: an address that is not this machine's alone is not granted, however
 * often it asks.
 */
export function newNames(identity: HostIdentity, wanted: WantedNames): readonly string[] {
  const asked = new Set((identity.askedNames ?? []).map(canonicalHostPart));
  return lackingNames(identity, wanted).filter((name) => !asked.has(canonicalHostPart(name)));
}

/** As much of what is wanted as the certificates have already; their own name where another one is wanted. */
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
 * The one that stands there with the name of the cluster behind it as well; the id stands so, too, and before
 * it.
 */
function certifiedNodename(identity: HostIdentity): string | undefined {
  const names = certifiedNamesOf(identity);
  const suffix = `.${identity.clusterName}`;
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, -suffix.length))
    .find((name) => name !== identity.hostId && names.includes(name));
}
