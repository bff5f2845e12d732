import { resolveAccessRequest as row } from '../../api/operations/access-request.ts';
import { accessRequest } from '../../domain/access-request.ts';
import { accessRequestStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { lookUpRoles } from '../../views/roles.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { requiringRoles } from '../user/roles-to-give.ts';
import { requesterNamed, requestNamed, shownRequest } from './known-requests.ts';

/** By what the user and the roles are now: what was requested may not be requested any more. */
export const resolveAccessRequest = implementing(row, async (deps, call, input) => {
  const asOf = await deps.views.fresh();
  const { requestId, roles, ...resolution } = input;
  const { user, roles: requested } = requestNamed(deps, requestId);
  const { requester } = requesterNamed(deps, user);
  const { caller } = call;
  const now = deps.world.now();
  const wanted = requested.flatMap((name) => {
    const found = lookUpRoles(deps.views.roles.state(), [name]);
    return found.status === 'found' ? found.roles : [];
  });
  const granted = input.state === 'denied' ? [] : wanted.filter(({ name }) => roles?.includes(name) ?? true);
  const { position } = await transact(
    deps.log.state,
    [
      step(accessRequest, accessRequestStream(requestId), {
        type: 'resolve-request',
        ...resolution,
        ...(roles !== undefined && { roles }),
        ...{ now, requester, wanted, by: caller.kind === 'user' ? caller.username : undefined },
      }),
      // Behind the deletion of a role, an approval would be one for a later role of that name.
      ...requiringRoles(granted.map(({ name }) => name)),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a resolved access request made no fact');
  await deps.views.reached(position);
  return { request: shownRequest(requestNamed(deps, requestId), now), position };
});
