import { deleteAccessRequest as row } from '../../api/operations/access-request.ts';
import { accessRequest } from '../../domain/access-request.ts';
import { accessRequestStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { getIn } from '../../views/table.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { notFound } from './known-requests.ts';

/** @throws CodedError `unavailable` for one that a newer release wrote, and this one cannot decide about. */
export const deleteAccessRequest = implementing(row, async (deps, call, { requestId }) => {
  const asOf = await deps.views.fresh();
  const { known, unreadable } = deps.views.requests.state();
  // Only the id of a request may become part of a stream's name.
  if (getIn(known, requestId) === undefined && getIn(unreadable, requestId) === undefined)
    throw notFound(requestId);
  const { position } = await transact(
    deps.log.state,
    [step(accessRequest, accessRequestStream(requestId), { type: 'end-request', reason: 'removed' })],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: the end of an access request made no fact');
  await deps.views.reached(position);
  return { position };
});
