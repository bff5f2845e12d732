import type { OtherClusters } from '../../api/trust-client.ts';
import { CodedError } from '../../base/errors.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { trustedOf } from '../../views/authorities.ts';
import { createResource } from '../resource/create-resource.ts';
import { adminCall, callOf, openTestAuth, type TestAuth } from '../testing.ts';
import { createToken } from '../token/create-token.ts';
import { establishTrust } from './establish-trust.ts';
import { followTrust } from './follow-trust.ts';

/** As an auth server of another cluster calls. */
const stranger = callOf({ kind: 'anyone', address: '192.0.2.50:4711' });

/** A leaf whose `otherClusters` are use cases of roots in memory, by the host name in their address. */
export function asking(
  roots: Readonly<Record<string, () => TestAuth>>,
  lose: () => boolean = () => false,
): OtherClusters {
  const at = (host: string): TestAuth => {
    const root = roots[host]?.();
    if (root === undefined) throw new CodedError('unavailable', `nobody answers at ${host}`);
    return root;
  };
  return {
    establish: async ({ server }, asked) => {
      const { deps } = at(server.host);
      const answer = await establishTrust(deps, stranger, asked);
      if (lose()) throw new CodedError('unavailable', 'the answer was lost');
      const knownBy = trustedOf(deps.views.authorities.state(), 'host').map((key) =>
        caPinOf(key.tlsCertificatePem),
      );
      return { answer: JSON.parse(JSON.stringify(answer)) as typeof answer, knownBy };
    },
    follow: async (server, told) => followTrust(at(server.host).deps, stranger, told),
  };
}

/** With the real time, since statements of keys are signed by it. */
export const openCluster = (clusterName: string, otherClusters?: OtherClusters): Promise<TestAuth> =>
  openTestAuth({ clusterName, ...(otherClusters === undefined ? {} : { otherClusters }) });

export async function tokenOf({ deps }: TestAuth): Promise<string> {
  const made = await createToken(deps, adminCall, { roles: ['Trusted_cluster'], ttlSeconds: 600 });
  return made.token;
}

export const documentFor = (name: string, spec: object = {}): ResourceDocument => ({
  kind: 'trusted_cluster',
  version: 'v2',
  metadata: { name },
  spec: {
    enabled: true,
    role_map: [{ remote: 'dev', local: ['admin'] }],
    web_proxy_addr: `${name}:3080`,
    tunnel_addr: `${name}:3024`,
    ...spec,
  },
});

/** The leaf trusts the root. */
export const trust = async (
  leaf: TestAuth,
  name: string,
  root: TestAuth,
  spec: object = {},
): ReturnType<typeof createResource> =>
  createResource(leaf.deps, adminCall, {
    document: documentFor(name, { token: await tokenOf(root), ...spec }),
    dryRun: false,
  });
