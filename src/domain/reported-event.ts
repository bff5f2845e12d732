import { CodedError } from '../base/errors.ts';
import { hour, instant, type Instant, plusMs } from '../base/time.ts';
import type { AuditEvent, ParsedAuditEvent } from './audit-event.ts';
import type { HostInfo } from './host-info.ts';
import { directAddress } from './reachability.ts';
import { mayReport, type ReportingRole } from './reported-kinds.ts';

/** The machine that reports an event, as auth knows it. */
export interface Reporter {
  readonly role: ReportingRole;
  readonly hostId: string;
  /** What it announced about itself in this role; undefined before it did. */
  readonly known: Pick<HostInfo, 'nodename' | 'reachability'> | undefined;
  /** Undefined when the log has nothing about it yet. */
  readonly joinedAt: Instant | undefined;
}

/** When the report arrived, and in which call. */
export interface Arrival {
  readonly at: Instant;
  readonly requestId: string;
  /** Whether there is a user of this name now. */
  readonly isUser: (name: string) => boolean;
}

/** A machine's clock may be wrong by this much, either way, before the time in its report is not believed. */
export const reportedSkewMs = 6 * hour;

/** Fields that auth sets. A machine's own value of them is kept in `claimed` where it differs. */
const ofAuth: ReadonlySet<string> = new Set([
  ...['actor', 'server_id', 'server_hostname', 'server_addr', 'request_id'],
  ...['received', 'claimed', 'unknown_user'],
]);
const moments = ['time', 'session_start', 'session_stop', 'since'] as const;
const maxDepth = 16;
const maxUserChars = 128;
const maxClaimChars = 200;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * An event as it is stored. Who reported it, from which machine and when it arrived is set from the caller's
 * certificate and auth's clock. A time before the machine joined, or in the future, is replaced by the time
 * of arrival. Differing values from the machine are kept in `claimed`. The user is stored as the machine
 * names it: only that machine knows who logged in there. `unknown_user` marks a name that is not a user now.
 * @throws CodedError `bad_request` for an event that a machine may not report, of another server, or that is
 *   nested too deeply.
 */
export function asReported(event: ParsedAuditEvent, reporter: Reporter, arrival: Arrival): ParsedAuditEvent {
  const { role, hostId } = reporter;
  const refuse = (why: string): CodedError => new CodedError('bad_request', `event ${event.uid}: ${why}`);
  if (!mayReport(role, event.event, event.code))
    throw refuse(
      `${quoted(event.event)} (${quoted(event.code)}) is not reported by a machine in role ${role}`,
    );
  if (event.server_id !== undefined && event.server_id !== hostId)
    throw refuse("server_id is not the caller's own");
  if (isDeeper(event, maxDepth)) throw refuse(`it is nested more than ${maxDepth} deep`);
  const claimed: Record<string, string> = {};
  const told = Object.entries(event).filter(([key]) => !ofAuth.has(key));
  const set = { ...setByAuth(event, reporter, arrival), ...momentsOf(event, reporter, arrival) };
  for (const [key, value] of Object.entries(event))
    if (Object.hasOwn(set, key) && set[key] !== value && !saysNothingNew(key, value, event))
      claimed[key] = textOf(value);
  const user = userOf(event, arrival.isUser, claimed);
  return {
    // The fields that are set keep the form of the event.
    ...(Object.fromEntries(told) as ParsedAuditEvent),
    ...defined(set),
    ...user,
    ...(Object.keys(claimed).length > 0 && { claimed }),
  };
}

/**
 * A machine cannot set a name that auth does not know yet: then undefined, and the name is kept as a claim.
 */
function setByAuth(event: AuditEvent, reporter: Reporter, arrival: Arrival): Record<string, unknown> {
  const { role, hostId, known } = reporter;
  const { request_id } = event;
  return {
    actor: `${role.toLowerCase()}:${hostId}`,
    server_id: hostId,
    server_hostname: known?.nodename,
    ...(event['server_addr'] !== undefined && { server_addr: known && directAddress(known.reachability) }),
    // All events of one connection have one id.
    request_id: typeof request_id === 'string' && uuid.test(request_id) ? request_id : arrival.requestId,
    received: arrival.at,
  };
}

function momentsOf(event: AuditEvent, { joinedAt }: Reporter, { at }: Arrival): Record<string, unknown> {
  const earliest = plusMs(joinedAt ?? at, -reportedSkewMs);
  const latest = plusMs(at, reportedSkewMs);
  const replaced: Record<string, unknown> = {};
  for (const key of moments) {
    if (event[key] === undefined) continue;
    const said = instant.safeParse(event[key]).data;
    if (said === undefined || said < earliest || said > latest) replaced[key] = at;
  }
  return replaced;
}

function userOf(
  { user }: AuditEvent,
  isUser: (name: string) => boolean,
  claimed: Record<string, string>,
): Record<string, unknown> {
  if (user === undefined || user === '' || isUser(user)) return {};
  if (user.length <= maxUserChars) return { unknown_user: true };
  claimed['user'] = textOf(user);
  return { user: `${user.slice(0, maxUserChars)}…`, unknown_user: true };
}

/**
 * Older releases also name the user as the actor; `request_id` and the fields that auth adds are not claims.
 */
const saysNothingNew = (key: string, value: unknown, { user }: AuditEvent): boolean =>
  value === '' ||
  key === 'request_id' ||
  key === 'received' ||
  (key === 'actor' && user !== undefined && value === `user:${user}`);

const textOf = (value: unknown): string =>
  (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, maxClaimChars);
const quoted = (text: string): string => JSON.stringify(text.slice(0, 64));

const defined = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** Does not descend further than `most`: a value from outside may be nested without limit. */
function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return most === 0 || Object.values(value).some((one) => isDeeper(one, most - 1));
}
