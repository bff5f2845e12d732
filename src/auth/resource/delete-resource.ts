import { may } from '../../api/guard.ts';
import { deleteResource as row } from '../../api/operations/resource.ts';
import { CodedError } from '../../base/errors.ts';
import { implementing } from '../implementing.ts';
import { documentNamed, notFound, ruleResourceOf } from './known-documents.ts';
import { servedKind } from './served-kinds.ts';

/**
 * @throws CodedError `not_found`, also for one that the caller may not delete; `bad_request` with why not.
 */
export const deleteResource = implementing(row, async (deps, call, { kind, name, dryRun }) => {
  await deps.views.fresh();
  const served = servedKind(kind);
  if (served.kind.notDeleted !== undefined || served.remove === undefined)
    throw new CodedError(
      'bad_request',
      `resources of kind ${JSON.stringify(kind)} are not deleted: ${served.kind.notDeleted ?? 'there is one'}`,
    );
  const before = await documentNamed(served, deps, call, name);
  if (before === undefined || !may(call, 'delete', ruleResourceOf(served, before)))
    throw notFound(served, name);
  const removal = await served.remove(deps, call, name);
  if (dryRun) return { before };
  const position = await removal.commit();
  await deps.views.reached(position);
  return { before, position };
});
