import { z } from 'zod';
import type { Instant } from '../base/time.ts';
import { catalogue } from './audit-catalogue.ts';
import type { AuditEvent } from './audit-event.ts';
import type { Labels } from './label-selector.ts';

/** Somebody entered a node, or was kept out by roles. */
export interface Entry {
  readonly status: 'entered' | 'refused';
  readonly user: string;
  readonly login: string;
  /** Undefined: the event does not have it. */
  readonly hostId: string | undefined;
  readonly nodename: string;
  /** Those of then, where the event has them. */
  readonly labels: Labels | undefined;
  readonly time: Instant;
  readonly sid: string | undefined;
}

const body = z.looseObject({
  server_hostname: z.string().optional(),
  server_labels: z.record(z.string(), z.string()).optional(),
  /** Longer ones are not what nodes write. */
  error: z.string().max(4_096).optional().catch(undefined),
});

/**
 * What nodes write of somebody whom they refuse (`node/decide-access.ts`). Certificates that prove nothing
 * are refused in other words, so that the name is that of a person who was there.
 */
const refusal = /^user (.+)@([^@]*) is not authorized to login as (.+)@\2: (.+)$/s;
/** Refusals by roles: another role could not help with the rest. */
const byRoles = [
  /^role ".*" denies /s,
  /^no role allows the login /s,
  /^there is no role /s,
  /^it has no role$/,
];

/** What an audit event says of somebody's entering a node; undefined for an event of another kind. */
export function entryOf(event: AuditEvent): Entry | undefined {
  const about = aboutIn(event);
  if (about === undefined) return undefined;
  const { server_hostname: nodename = '', server_labels: labels } = body.safeParse(event).data ?? {};
  return { ...about, hostId: event.server_id, nodename, labels, time: event.time, sid: event.sid };
}

/** Read here; nodes emit them. */
const { sessionStart, authAttemptFailure } = catalogue;

type About = Pick<Entry, 'status' | 'user' | 'login'>;

function aboutIn(event: AuditEvent): About | undefined {
  const { code, user, login } = event;
  if (code === authAttemptFailure.code) return refusedIn(event);
  if (code !== sessionStart.code || user === undefined || login === undefined) return undefined;
  return { status: 'entered', user, login };
}

/** The fields of the event name what was claimed; the text has what was proved. */
function refusedIn(event: AuditEvent): About | undefined {
  const { error = '' } = body.safeParse(event).data ?? {};
  const [, user, , login, why = ''] = refusal.exec(error) ?? [];
  if (user === undefined || login === undefined || !byRoles.some((one) => one.test(why))) return undefined;
  return { status: 'refused', user, login };
}
