import { may } from '../../api/guard.ts';
import { readResource as row } from '../../api/operations/resource.ts';
import { implementing } from '../implementing.ts';
import { documentNamed, notFound, ruleResourceOf } from './known-documents.ts';
import { servedKind } from './served-kinds.ts';

/**
 * One that the caller may not read is not found: its name is not told either. @throws CodedError `not_found`
 */
export const readResource = implementing(row, async (deps, call, { kind, name }) => {
  await deps.views.fresh();
  const served = servedKind(kind);
  const document = await documentNamed(served, deps, call, name);
  if (document === undefined || !may(call, 'readnosecrets', ruleResourceOf(served, document)))
    throw notFound(served, name);
  return { document };
});
