import { createAccessRequest as row } from '../../api/operations/access-request.ts';
import { may } from '../../api/guard.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { hour, plusMs } from '../../base/time.ts';
import { accessRequest } from '../../domain/access-request.ts';
import { type Requester, requestStrategy } from '../../domain/may-request.ts';
import { accessRequestStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { expiredRequests, requestsOf } from '../../views/requests.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { requireUnlocked } from '../lock/in-force.ts';
import { requiringRoles, rolesToGive } from '../user/roles-to-give.ts';
import { requestableRoles, requesterNamed, requestNamed, shownRequest } from './known-requests.ts';

/** How long after its end a request is removed, so that readers do not keep it for ever. */
const forgottenAfterMs = 24 * hour;
/** The most that are removed with each new one. */
const forgottenAtOnce = 16;
/** One person's requests that wait: more would only hide those of others. */
const mostPending = 20;
const every = '*';

export const createAccessRequest = implementing(row, async (deps, call, input) => {
  const asOf = await deps.views.fresh();
  const user = userOf(call, input.user);
  const { entry, requester } = requesterNamed(deps, user);
  requireUnlocked(deps, { user, roles: entry.state.roles });
  const roles = rolesWished(deps, requester, input.roles);
  if (requestStrategy(requester.roles).access === 'reason' && input.reason.trim() === '')
    throw new CodedError('bad_request', `a role of user "${user}" wants a reason for each request: give one`);
  const [id, now] = [deps.world.uuid(), deps.world.now()];
  requireFewPending(deps, user);
  const command = {
    type: 'create-request',
    ...{ now, user, lifeId: entry.life.id, roles, reason: input.reason, requester },
  } as const;
  if (input.dryRun) {
    const [fact] = accessRequest.decide(accessRequest.initial, command);
    if (fact?.type !== 'request.created') throw new Error('bug: a new access request made no fact');
    const { annotations, reason, ...made } = fact.data;
    const request = { createdAt: now, reason, annotations };
    return { request: shownRequest({ id, ...made, status: 'pending', request, resolution: null }, now) };
  }
  const forgotten = expiredRequests(deps.views.requests.state(), plusMs(now, -forgottenAfterMs));
  const { position } = await transact(
    deps.log.state,
    [
      step(accessRequest, accessRequestStream(id), command),
      ...requiringRoles(roles),
      ...forgotten
        .slice(0, forgottenAtOnce)
        .map((old) =>
          step(accessRequest, accessRequestStream(old), { type: 'end-request', reason: 'expired' }),
        ),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a new access request made no fact');
  await deps.views.reached(position);
  return { request: shownRequest(requestNamed(deps, id), now), position };
});

/** @throws CodedError `access_denied` where somebody asks for another, and no rule lets them. */
function userOf(call: Call, named: string | undefined): string {
  const { caller } = call;
  const own = caller.kind === 'user' ? caller.username : undefined;
  const user = named ?? own;
  if (user === undefined) throw new CodedError('bad_request', 'user: whose request is it');
  if (user !== own && !may(call, 'create', { kind: 'access_request' }))
    throw new CodedError(
      'access_denied',
      `access denied to perform action "create" on "access_request" of another user: no rule of the roles of ${own ?? ''} allows it`,
    );
  return user;
}

/**
 * @throws CodedError `bad_request` for a role that is not there, or that the user has; where nothing may be
 *   requested.
 */
function rolesWished(deps: AuthDeps, requester: Requester, names: readonly string[]): readonly string[] {
  if (names.length === 1 && names[0] === every) {
    const all = requestableRoles(deps, requester);
    if (all.length === 0)
      throw new CodedError('bad_request', 'there is no role that the user may request and does not have');
    return all;
  }
  const roles = rolesToGive(deps.views, [...new Set(names)]).map(({ name }) => name);
  const held = roles.find((role) => requester.roles.some(({ name }) => name === role));
  if (held !== undefined)
    throw new CodedError('bad_request', `the user has the role "${held}": it need not be requested`);
  return roles;
}

function requireFewPending({ views, world }: AuthDeps, user: string): void {
  const waiting = requestsOf(views.requests.state(), user, world.now()).filter(
    ({ status }) => status === 'pending',
  );
  if (waiting.length >= mostPending)
    throw new CodedError(
      'limit_exceeded',
      `user "${user}" has ${waiting.length} access requests that wait: one has to be resolved first, or to expire`,
    );
}
