import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { RuleResource } from '../../domain/where/evaluate-where.ts';
import type { AuthDeps } from '../deps.ts';
import { withRevision } from './revision.ts';
import type { ServedKind } from './served-kind.ts';

/** What a rule's condition can ask of a document. */
export function ruleResourceOf(
  served: ServedKind,
  { metadata, spec, sub_kind: subKind }: ResourceDocument,
): RuleResource {
  const { roles, traits } = (spec ?? {}) as { roles?: string[]; traits?: Record<string, string[]> };
  const isUser = served.kind.kind === 'user';
  return {
    kind: served.kind.rules,
    name: metadata.name,
    labels: metadata.labels,
    ...(served.kind.rules === 'cert_authority' && { authorityType: subKind }),
    ...(isUser && { roles, traits: traits ?? {} }),
  };
}

/** With revisions, by name. */
export async function documentsOf(
  served: ServedKind,
  deps: AuthDeps,
  call: Call,
): Promise<readonly ResourceDocument[]> {
  return byName((await served.list(deps, call)).map(withRevision));
}

export const byName = (documents: readonly ResourceDocument[]): readonly ResourceDocument[] =>
  [...documents].sort((a, b) =>
    a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0,
  );

/** With its revision; undefined when there is none of that name. */
export async function documentNamed(
  served: ServedKind,
  deps: AuthDeps,
  call: Call,
  name: string,
): Promise<ResourceDocument | undefined> {
  const found = served.find
    ? await served.find(deps, call, name)
    : (await served.list(deps, call)).find(({ metadata }) => metadata.name === name);
  return found && withRevision(found);
}

export const notFound = (served: ServedKind, name: string): CodedError =>
  new CodedError('not_found', `${served.kind.kind} ${JSON.stringify(name)} is not found`);
