import { pingCluster } from '../../../api/operations/cluster.ts';
import { exportPhrase } from '../../../api/operations/authority-keys.ts';
import { exportResources } from '../../../api/operations/resource.ts';
import { CodedError } from '../../../base/errors.ts';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import { kindsOfResources, type ResourceReference } from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { spelledOut } from '../spelled-out.ts';

/** Everything that `teleport start --bootstrap` restores. */
export const wholeKinds = (): readonly ResourceReference[] =>
  kindsOfResources
    .filter(({ notBootstrapped }) => notBootstrapped === undefined)
    .map((kind) => ({ kind, name: undefined }));

/**
 * `tctl get all --with-secrets`: with what people and machines prove themselves by, and what the authorities
 * sign with.
 */
export async function wholeDocuments(
  invocation: Invocation,
  references: readonly ResourceReference[],
  io: CliIo,
): Promise<readonly ResourceDocument[]> {
  if (references.some(({ name, kind }) => name !== undefined && name !== kind.single))
    throw new CodedError('bad_request', '--with-secrets is for all resources of a kind, or for all');
  if (invocation.given('at'))
    throw new CodedError(
      'bad_request',
      '--with-secrets and --at do not go together: secrets are those of now',
    );
  return withAuth(invocation, io, async (auth) => {
    const { clusterName } = await auth.call(pingCluster, {});
    const confirmation = await spelledOut(
      io,
      'Whoever has this file can be anybody in the cluster: it has the private keys, password hashes and seeds of codes ' +
        'that you ask for. The export is recorded.',
      exportPhrase(clusterName),
    );
    const documents: ResourceDocument[] = [];
    for (const { kind } of references)
      documents.push(...(await auth.call(exportResources, { kind: kind.kind, confirmation })).documents);
    return documents;
  });
}
