import { exportPhrase } from '../../api/operations/authority-keys.ts';
import { exportResources as row } from '../../api/operations/resource.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { EventBody } from '../../domain/audit-kind.ts';
import { kindNamed } from '../../domain/resources/registry.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { WholeAuthorityDocument } from '../../domain/resources/authority.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { clusterOf } from '../lookups.ts';
import { wholeDocuments } from './whole-documents.ts';

/**
 * The audit events are stored before anything secret leaves; otherwise it does not leave.
 * @throws CodedError `bad_request` without the phrase; `unavailable` where a secret is not on the log.
 */
export const exportResources = implementing(row, async (deps, call, { kind, confirmation }) => {
  const phrase = exportPhrase(clusterOf(deps.views).clusterName);
  if (confirmation !== phrase)
    throw new CodedError('bad_request', `nothing was exported: the confirmation is not "${phrase}"`);
  await deps.views.fresh();
  const documents = await wholeDocuments(deps, call, kind);
  await record(deps, call, kind, documents);
  return { documents: [...documents] };
});

async function record(
  deps: AuthDeps,
  call: Call,
  kind: string,
  documents: readonly ResourceDocument[],
): Promise<void> {
  // The others have nothing that everybody who may list them does not see.
  if (kindNamed(kind).wholeSchema === undefined) return;
  const cause = causeOf(deps, call);
  const { actor: user } = cause;
  call.deadline.begin();
  const events: EventBody[] = [catalogue.resourceExport({ user, kind, count: documents.length })];
  if (kind === 'cert_authority')
    for (const { metadata, spec } of documents as readonly WholeAuthorityDocument[]) {
      const { type, fingerprints } = spec;
      events.push(
        catalogue.authorityKeysExported({ user, name: metadata.name, type, keys: [...fingerprints] }),
      );
    }
  for (const event of events) await deps.ownAudit.record(event, cause);
  deps.sink.warn('resources were exported with what is secret in them', { kind, actor: user });
}
