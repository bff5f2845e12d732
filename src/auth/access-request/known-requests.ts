import type { z } from 'zod';
import type { accessRequest } from '../../api/operations/access-request.ts';
import { may } from '../../api/guard.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import { mayRequest, type Requester } from '../../domain/may-request.ts';
import type { RuleVerb } from '../../domain/rule-subjects.ts';
import { findRequest, type RequestEntry } from '../../views/requests.ts';
import { roleNames } from '../../views/roles.ts';
import { findUser, isUnreadableUser, type UserEntry } from '../../views/users.ts';
import { isSystemRole } from '../callers.ts';
import type { AuthDeps } from '../deps.ts';
import { rolesOf } from '../lookups.ts';

type Shown = z.input<typeof accessRequest>;

const copied = (annotations: Readonly<Record<string, readonly string[]>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(annotations).map(([key, values]) => [key, [...values]]));

/** A request as callers see it at that time. */
export function shownRequest(entry: RequestEntry, now: Instant): Shown {
  const { id: requestId, user, roles, status, request, resolution, expiresAt } = entry;
  return {
    ...{ requestId, user, roles: [...roles], expiresAt },
    status: status !== 'denied' && now >= expiresAt ? 'expired' : status,
    reason: request?.reason ?? '',
    annotations: copied(request?.annotations ?? {}),
    createdAt: request?.createdAt ?? resolution?.at ?? expiresAt,
    ...(resolution !== null && {
      resolution: { ...resolution, annotations: copied(resolution.annotations) },
    }),
  };
}

/** Their own, and what their rules allow. */
export function maySee(call: Call, verb: RuleVerb, { id: name, user, roles }: RequestEntry): boolean {
  const { caller } = call;
  if (caller.kind === 'user' && caller.username === user) return true;
  return may(call, verb, { kind: 'access_request', name, roles });
}

/** @throws CodedError `not_found` */
export function requestNamed({ views }: Pick<AuthDeps, 'views'>, id: string): RequestEntry {
  const entry = findRequest(views.requests.state(), id);
  if (entry === undefined) throw notFound(id);
  return entry;
}

export const notFound = (id: string): CodedError =>
  new CodedError('not_found', `access request ${id} is not found: it never was there, or is over`);

/**
 * A user as one who requests: with their own roles, and none that a request added.
 * @throws CodedError `not_found` for a user that is not there; `access_denied` where one of the roles is not.
 */
export function requesterNamed(
  { views }: Pick<AuthDeps, 'views'>,
  username: string,
): { readonly entry: UserEntry; readonly requester: Requester } {
  const entry = findUser(views.users.state(), username);
  if (entry === undefined) {
    const isThere = isUnreadableUser(views.users.state(), username);
    throw isThere
      ? new CodedError('unavailable', `user "${username}" has what this release cannot read`)
      : new CodedError('not_found', `user "${username}" is not found`);
  }
  const { roles, traits } = entry.state;
  return { entry, requester: { roles: rolesOf(views, roles), traits } };
}

/** Every role that exists, that somebody may request and does not have, sorted. */
export function requestableRoles(
  { views }: Pick<AuthDeps, 'views'>,
  requester: Requester,
): readonly string[] {
  const own = new Set(requester.roles.map(({ name }) => name));
  return roleNames(views.roles.state()).filter(
    (role) => !own.has(role) && !isSystemRole(role) && mayRequest(requester, role),
  );
}
