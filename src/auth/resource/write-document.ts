import { may } from '../../api/guard.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { RuleVerb } from '../../domain/rule-subjects.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { Position } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';
import { documentNamed, notFound, ruleResourceOf } from './known-documents.ts';
import { readDocument } from './read-document.ts';
import { revisionOf, withRevision } from './revision.ts';
import type { Plan, ServedKind } from './served-kind.ts';
import { servedKind } from './served-kinds.ts';

export interface Writing {
  readonly document: { readonly kind: string };
  readonly dryRun: boolean;
}

export interface Written {
  readonly status: 'created' | 'updated' | 'unchanged';
  readonly before?: ResourceDocument;
  readonly after: ResourceDocument;
  readonly notices: string[];
  readonly position?: Position;
}

/**
 * One document, written as a new resource or in place of the one that is there.
 * @throws CodedError `already_exists`, `not_found`, `conflict`, `bad_request`, `access_denied`
 */
export async function writeDocument(
  deps: AuthDeps,
  call: Call,
  verb: 'create' | 'update',
  { document: given, dryRun }: Writing,
): Promise<Written> {
  const document = readDocument(given);
  const served = servedKind(document.kind);
  const write = served[verb];
  if (served.kind.notWritten !== undefined || write === undefined)
    throw new CodedError(
      'bad_request',
      `resources of kind ${JSON.stringify(document.kind)} are not ${verb === 'create' ? 'created' : 'updated'} by a file: ` +
        (served.kind.notWritten ?? 'delete it and create another one'),
    );
  const asOf = await deps.views.fresh();
  const { name } = document.metadata;
  const before = await documentNamed(served, deps, call, name);
  if (before === undefined && verb === 'update') throw notFound(served, name);
  if (before !== undefined && verb === 'create')
    throw new CodedError(
      'already_exists',
      `${document.kind} ${JSON.stringify(name)} already exists, use -f or --force flag to overwrite`,
    );
  for (const one of before === undefined ? [document] : [before, document])
    requireAllowed(call, verb, served, one);
  checkRevision(document, before);
  const plan = await write(deps, call, { document, before, asOf });
  return carryOut(deps, plan, { before, dryRun });
}

/**
 * Before and after: nobody writes what they may not, nor takes it over by writing something else in its
 * place.
 */
function requireAllowed(call: Call, verb: RuleVerb, served: ServedKind, document: ResourceDocument): void {
  if (may(call, verb, ruleResourceOf(served, document))) return;
  throw new CodedError(
    'access_denied',
    `access denied to perform action ${JSON.stringify(verb)} on ${served.kind.kind} ${JSON.stringify(document.metadata.name)}: no rule of your roles allows it`,
  );
}

function checkRevision({ kind, metadata }: ResourceDocument, before: ResourceDocument | undefined): void {
  const { revision, name } = metadata;
  if (revision === undefined || before === undefined || revision === before.metadata.revision) return;
  throw new CodedError(
    'conflict',
    `${kind} ${JSON.stringify(name)} was changed since it was read (the file has revision ${JSON.stringify(revision)}, the cluster ` +
      `${JSON.stringify(before.metadata.revision)}): read it again ("tctl get ${kind}/${name}"), or take the revision out of the file to overwrite`,
  );
}

async function carryOut(
  { views }: AuthDeps,
  plan: Plan,
  { before, dryRun }: { readonly before: ResourceDocument | undefined; readonly dryRun: boolean },
): Promise<Written> {
  const planned = withRevision(plan.after);
  const isSame =
    before !== undefined && revisionOf(before) === revisionOf(planned) && plan.isAlwaysCarriedOut !== true;
  const status = before === undefined ? 'created' : isSame ? 'unchanged' : 'updated';
  const found = before === undefined ? {} : { before };
  if (dryRun || isSame) return { status, after: planned, notices: [...(plan.notices ?? [])], ...found };
  const position = await plan.commit();
  const [after, notices] = [withRevision(plan.after), [...(plan.notices ?? [])]];
  if (position === undefined) return { status: 'unchanged', after, notices, ...found };
  await views.reached(position);
  return { status, after, notices, position, ...found };
}
