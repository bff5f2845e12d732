import { listAccessRequests as row } from '../../api/operations/access-request.ts';
import { requestsAt } from '../../views/requests.ts';
import { implementing } from '../implementing.ts';
import { maySee, shownRequest } from './known-requests.ts';

export const listAccessRequests = implementing(row, async (deps, call) => {
  await deps.views.fresh();
  const now = deps.world.now();
  return {
    requests: requestsAt(deps.views.requests.state(), now)
      .filter((entry) => maySee(call, row.verb, entry))
      .map((entry) => shownRequest(entry, now)),
  };
});
