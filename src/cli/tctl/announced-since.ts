import type { CliIo } from '../cli-io.ts';
import type { AuthoritiesAnswer } from '../tsh/cluster/web-answers.ts';
import type { ClientIdentity } from '../tsh/login/client-identity.ts';
import { ClusterTrust } from '../tsh/trust/cluster-trust.ts';
import { identityFileTrust } from '../tsh/trust/trust-stores.ts';

/**
 * The X.509 authorities of the cluster by the first announcement that a key in the identity file vouches for;
 * undefined where none does. Nothing is written: a file is whoever's who made it.
 * @param announced each asks one server. What one of them throws is as if it had announced nothing.
 */
export async function announcedSince(
  identity: ClientIdentity,
  announced: readonly (() => Promise<AuthoritiesAnswer>)[],
  io: CliIo,
): Promise<readonly string[] | undefined> {
  for (const ask of announced) {
    const given = { store: identityFileTrust(identity), announced: ask };
    const trust = new ClusterTrust(identity, given, io);
    const { renewal } = await trust.renew();
    if (renewal.status === 'renewed') return trust.tlsCasPem();
  }
  return undefined;
}
