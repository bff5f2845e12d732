import { may } from '../../api/guard.ts';
import { readResource as row } from '../../api/operations/resource.ts';
import { implementing } from '../implementing.ts';
import { documentNamed, notFound, ruleResourceOf } from './known-documents.ts';
import { pastDocument } from './past-documents.ts';
import { servedKind } from './served-kinds.ts';

/** One that the caller may not read is not found: its name is not told. @throws CodedError `not_found` */
export const readResource = implementing(row, async (deps, call, { kind, name, at }) => {
  const served = servedKind(kind);
  if (at === undefined) await deps.views.fresh();
  const document =
    at === undefined
      ? await documentNamed(served, deps, call, name)
      : await pastDocument(deps, call, { served, name, at });
  if (document === undefined || !may(call, 'readnosecrets', ruleResourceOf(served, document)))
    throw notFound(served, name);
  return { document };
});
