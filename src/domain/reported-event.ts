import { CodedError } from '../base/errors.ts';
import { hour, instant, type Instant, plusMs } from '../base/time.ts';
import type { AuditEvent, ParsedAuditEvent } from './audit-event.ts';
import type { HostInfo } from './host-info.ts';
import { directAddress } from './reachability.ts';
import { mayReport, type ReportingRole } from './reported-kinds.ts';

/** The machine that says that something happened, as auth knows it. */
export interface Reporter {
  readonly role: ReportingRole;
  readonly hostId: string;
  /** What it announced of itself in this role; undefined before it did. */
  readonly known: Pick<HostInfo, 'nodename' | 'reachability'> | undefined;
  /** Undefined when nothing is on the log of it yet. */
  readonly joinedAt: Instant | undefined;
}

/** When and by which call it came. */
export interface Arrival {
  readonly at: Instant;
  readonly requestId: string;
  /** Whether there is a user of this name now. */
  readonly isUser: (name: string) => boolean;
}

/**
 * So much may the clock of a machine be wrong, either way, before the moment that it names is not believed.
 */
export const reportedSkewMs = 6 * hour;

/** Auth's to say; what a machine says of them is kept in `claimed` where it says something else. */
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
 * An event as it is stored: who told it, from which machine and when it arrived is set from the caller's
 * certificate and by auth's clock; a moment before the machine joined, or to come, is replaced by the
 * arrival. What the machine says otherwise is in `claimed`. Whom it names as the user stays as it says: who
 * logged in there only that machine knows. `unknown_user` marks one that is none now.
 * @throws CodedError `bad_request` for an event that is not a machine's to tell, of another server, or that
 *   has no bottom.
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
    // What is set in it has the form that the event had.
    ...(Object.fromEntries(told) as ParsedAuditEvent),
    ...defined(set),
    ...user,
    ...(Object.keys(claimed).length > 0 && { claimed }),
  };
}

/** A name that auth does not know yet is not the machine's to give: undefined, and kept as a claim. */
function setByAuth(event: AuditEvent, reporter: Reporter, arrival: Arrival): Record<string, unknown> {
  const { role, hostId, known } = reporter;
  const { request_id } = event;
  return {
    actor: `${role.toLowerCase()}:${hostId}`,
    server_id: hostId,
    server_hostname: known?.nodename,
    ...(event['server_addr'] !== undefined && { server_addr: known && directAddress(known.reachability) }),
    // What belongs to one connection is told with one id.
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

/** Older releases name the user as the actor as well; `request_id` and what auth adds are no claims. */
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

/** Goes no further down than that: what somebody else made may have no bottom. */
function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return most === 0 || Object.values(value).some((one) => isDeeper(one, most - 1));
}
