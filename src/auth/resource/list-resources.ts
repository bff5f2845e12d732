import { may } from '../../api/guard.ts';
import { listResources as row } from '../../api/operations/resource.ts';
import { implementing } from '../implementing.ts';
import { documentsOf, ruleResourceOf } from './known-documents.ts';
import { pastDocuments } from './past-documents.ts';
import { servedKind } from './served-kinds.ts';

/** Those that the caller may read, by name. */
export const listResources = implementing(row, async (deps, call, { kind, at }) => {
  const served = servedKind(kind);
  if (at === undefined) await deps.views.fresh();
  const documents =
    at === undefined ? await documentsOf(served, deps, call) : await pastDocuments(deps, call, served, at);
  return {
    documents: documents.filter((one) =>
      (['list', 'readnosecrets'] as const).every((verb) => may(call, verb, ruleResourceOf(served, one))),
    ),
  };
});
