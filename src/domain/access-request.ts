import { z } from 'zod';
import { anyKey, foreignRecord } from '../base/foreign-record.ts';
import { isCleanText } from '../base/clean-text.ts';
import { CodedError, unreachable } from '../base/errors.ts';
import { hour, instant, type Instant, plusMs, second } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { effectiveTtlSeconds } from './role-options.ts';
import { type Annotations, annotationsOf, mayRequest, type Requester } from './may-request.ts';
import type { RoleSpec } from './role-spec.ts';
import { writerReads } from './writer-reads.ts';

/**
 * `pendingMs`: how long a request waits for an answer. `accessMs`: how long one that was approved holds at
 * most. Source: reference 4.4, resources §1.
 */
export const requestLimits = {
  pendingMs: hour,
  accessMs: 30 * hour,
  roles: 64,
  textLength: 1_000,
  annotations: 100,
} as const;

const roles = z.array(z.string());
const annotations = foreignRecord(anyKey, z.array(z.string()));

export const accessRequestFact = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('request.created'),
    data: z.object({
      user: z.string(),
      /** Of the several users of one name that there may be one after the other. */
      lifeId: z.string(),
      roles,
      reason: z.string(),
      /** Those of the user's roles. */
      annotations,
      /** Nobody can resolve it from then on. */
      expiresAt: instant,
    }),
  }),
  /** Whole in itself: servers that decide access see no other of a request. Who resolved is the actor. */
  z.object({
    type: z.literal('request.resolved'),
    data: z.object({
      state: z.enum(['approved', 'denied']),
      user: z.string(),
      lifeId: z.string(),
      /** Those that are granted: not more than were requested. */
      roles,
      reason: z.string(),
      /** On whose behalf; empty: nobody was named. */
      delegator: z.string(),
      annotations,
      /** Of an approval: when it ends. Of a denial: until when it is shown. */
      expiresAt: instant,
    }),
  }),
  /** `reason`: `removed` by an operator, or `expired`; other releases may have other reasons. */
  z.object({ type: z.literal('request.ended'), data: z.object({ reason: z.string() }) }),
]);
export type AccessRequestFact = z.infer<typeof accessRequestFact>;

export interface CreateRequest {
  readonly type: 'create-request';
  readonly now: Instant;
  readonly user: string;
  readonly lifeId: string;
  readonly roles: readonly string[];
  readonly reason: string;
  readonly requester: Requester;
}
export interface ResolveRequest {
  readonly type: 'resolve-request';
  readonly now: Instant;
  readonly state: 'approved' | 'denied';
  /** Who resolves; undefined for a machine of the cluster. */
  readonly by: string | undefined;
  /** Fewer than were requested. Left out: all of them. */
  readonly roles?: readonly string[];
  readonly reason: string;
  readonly delegator: string;
  readonly annotations: Annotations;
  /** As they are now. */
  readonly requester: Requester;
  /** The requested roles, looked up: those that exist. */
  readonly wanted: readonly RoleSpec[];
}
export interface EndRequest {
  readonly type: 'end-request';
  readonly reason: 'removed' | 'expired';
}
export type AccessRequestCommand = CreateRequest | ResolveRequest | EndRequest;

interface Requested {
  readonly user: string;
  readonly lifeId: string;
  readonly roles: readonly string[];
  readonly expiresAt: Instant;
}
export type AccessRequestState =
  | { readonly status: 'absent' }
  | { readonly status: 'ended' }
  | (Requested & { readonly status: 'pending' })
  | (Requested & { readonly status: 'approved' | 'denied' });

/** A person asks for roles that they do not have, and somebody else grants them for a time, or does not. */
export const accessRequest: Decider<AccessRequestState, AccessRequestCommand, AccessRequestFact> = {
  fact: writerReads(accessRequestFact),
  initial: { status: 'absent' },

  decide(state, command) {
    switch (command.type) {
      case 'create-request':
        if (state.status !== 'absent') throw new CodedError('already_exists', 'this access request exists');
        return [create(command)];
      case 'resolve-request':
        return [resolve(state, command)];
      case 'end-request':
        // Expired ones are removed by the next that is made.
        if (isOver(state) && command.reason === 'expired') return [];
        if (isOver(state)) throw notFound();
        return [{ type: 'request.ended', data: { reason: command.reason } }];
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'request.created': {
        const { user, lifeId, roles, expiresAt } = fact.data;
        return state.status === 'absent' ? { status: 'pending', user, lifeId, roles, expiresAt } : state;
      }
      case 'request.resolved': {
        const { state: status, user, lifeId, roles, expiresAt } = fact.data;
        return state.status === 'ended' ? state : { status, user, lifeId, roles, expiresAt };
      }
      case 'request.ended':
        return { status: 'ended' };
      default:
        return unreachable(fact);
    }
  },
};

const isOver = ({ status }: AccessRequestState): boolean => status === 'absent' || status === 'ended';
const notFound = (): CodedError => new CodedError('not_found', 'the access request is not found');

function create({ now, user, lifeId, roles: names, reason, requester }: CreateRequest): AccessRequestFact {
  const roles = checkedRoles(names);
  checkText('reason', reason);
  requireRequestable(requester, roles, user);
  const annotations = annotationsOf(requester);
  const expiresAt = plusMs(now, requestLimits.pendingMs);
  return { type: 'request.created', data: { user, lifeId, roles, reason, annotations, expiresAt } };
}

function resolve(state: AccessRequestState, command: ResolveRequest): AccessRequestFact {
  const { now, by, reason, delegator } = command;
  if (state.status === 'absent' || state.status === 'ended') throw notFound();
  if (state.status !== 'pending')
    throw new CodedError('bad_request', `the access request was ${state.status} before: it is resolved once`);
  const { user, lifeId } = state;
  if (now >= state.expiresAt)
    throw new CodedError('not_found', `the access request waited until ${state.expiresAt}: it has expired`);
  // Otherwise whoever may approve could give themselves any role that they may request.
  if (command.state === 'approved' && by === user)
    throw new CodedError('access_denied', 'nobody approves their own access request: somebody else has to');
  checkText('reason', reason);
  checkText('delegator', delegator);
  const annotations = checkedAnnotations(command.annotations);
  const roles = narrowed(state.roles, command.roles);
  const told = { state: command.state, user, lifeId, roles, reason, delegator, annotations };
  if (command.state === 'denied')
    return { type: 'request.resolved', data: { ...told, expiresAt: state.expiresAt } };
  requireRequestable(command.requester, roles, user);
  const granted = command.wanted.filter(({ name }) => roles.includes(name));
  const missing = roles.filter((role) => !granted.some(({ name }) => name === role));
  if (missing.length > 0)
    throw new CodedError('bad_request', `role "${missing.join('", "')}" is not found: approve without it`);
  return { type: 'request.resolved', data: { ...told, expiresAt: plusMs(now, accessMs(command, granted)) } };
}

/** As long as the strictest of all the roles that the person would have allows. */
const accessMs = ({ requester }: ResolveRequest, granted: readonly RoleSpec[]): number =>
  effectiveTtlSeconds([...requester.roles, ...granted], requestLimits.accessMs / second) * second;

function narrowed(requested: readonly string[], only: readonly string[] | undefined): string[] {
  if (only === undefined) return [...requested];
  const more = only.filter((role) => !requested.includes(role));
  if (more.length > 0)
    throw new CodedError(
      'bad_request',
      `role "${more.join('", "')}" was not requested: an approval grants at most ${requested.join(', ')}`,
    );
  return checkedRoles(only);
}

function checkedRoles(names: readonly string[]): string[] {
  const roles = [...new Set(names)];
  if (roles.length === 0 || roles.includes(''))
    throw new CodedError('bad_request', 'roles: name at least one role');
  if (roles.length > requestLimits.roles)
    throw new CodedError('bad_request', `roles: at most ${requestLimits.roles} in one request`);
  return roles;
}

function requireRequestable(requester: Requester, roles: readonly string[], user: string): void {
  const refused = roles.filter((role) => !mayRequest(requester, role));
  if (refused.length === 0) return;
  throw new CodedError(
    'access_denied',
    `user "${user}" may not request the role "${refused.join('", "')}": no role of theirs allows it, or one denies it`,
  );
}

function checkText(what: string, text: string): void {
  if (isCleanText(text) && text.length <= requestLimits.textLength) return;
  throw new CodedError(
    'bad_request',
    `${what}: one line of at most ${requestLimits.textLength} characters, without control and invisible ones`,
  );
}

function checkedAnnotations(given: Annotations): Record<string, string[]> {
  const entries = Object.entries(given);
  if (entries.flatMap(([, values]) => values).length > requestLimits.annotations)
    throw new CodedError('bad_request', `annotations: at most ${requestLimits.annotations}`);
  for (const [key, values] of entries)
    for (const text of [key, ...values]) checkText(`annotation ${JSON.stringify(key.slice(0, 64))}`, text);
  return Object.fromEntries(entries.map(([key, values]) => [key, [...values]]));
}
