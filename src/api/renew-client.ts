import type { KeyObject } from 'node:crypto';
import type { World } from '../base/world.ts';
import { checkHostIdentity } from '../pki/check-host-identity.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { privateKeyPem } from '../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { AuthClient } from './client.ts';
import { renewHost } from './operations/host.ts';

export interface RenewalRequest {
  /** The current identity of this machine: it changes only in key, names and authorities. */
  readonly held: HostIdentity;
  /**
   * Ed25519. The same at each attempt, so that an auth server recognises a machine that it has already
   * certified.
   */
  readonly key: KeyObject;
  readonly nodename: string;
  readonly additionalPrincipals: readonly string[];
}

/**
 * Has this machine certified again, over a connection on which it presents its valid certificate.
 * @throws CodedError as the call; `damaged` when the parts of the response do not match.
 */
export async function renewAtAuth(
  auth: Pick<AuthClient, 'call'>,
  { held, key, nodename, additionalPrincipals }: RenewalRequest,
  world: Pick<World, 'now'>,
): Promise<HostIdentity> {
  const certificates = await auth.call(renewHost, {
    nodename,
    publicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
    additionalPrincipals: [...additionalPrincipals],
    sentAt: world.now(),
  });
  const { hostId, role } = held;
  const identity: HostIdentity = { hostId, role, privateKeyPem: privateKeyPem(key), ...certificates };
  checkHostIdentity(identity);
  return identity;
}
