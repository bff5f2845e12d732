import { z } from 'zod';
import { instant, type Instant } from '../base/time.ts';
import type { EventBody } from './audit-kind.ts';

/**
 * One audit event in the form users of 4.4 know (types, codes and field names of its audit log), plus what we
 * add: `actor`, `request_id`. Unknown extra fields are kept. `uid` is the idempotency key: the same event
 * sent twice is stored once.
 */
export const auditEvent = z.looseObject({
  /** `session.start`, `exec`, … */
  event: z.string().min(1).max(64),
  /** Which outcome of it. */
  code: z.string().min(1).max(16),
  uid: z.uuid(),
  time: instant,
  /** Counter within a session; 0 elsewhere. */
  ei: z.number().int().nonnegative().default(0),
  user: z.string().optional(),
  login: z.string().optional(),
  sid: z.string().optional(),
  server_id: z.string().optional(),
  'addr.local': z.string().optional(),
  'addr.remote': z.string().optional(),
});
export type AuditEvent = z.infer<typeof auditEvent>;

/**
 * An event that certainly has this form: it was made from the catalogue here (`completed`), or parsed where
 * it entered this process. It is not checked a second time.
 */
export type ParsedAuditEvent = z.infer<typeof parsedAuditEvent>;

/** For events from elsewhere: another process, a file, a log. */
export const parsedAuditEvent = auditEvent.brand<'ParsedAuditEvent'>();

/** What every event has beside its body. */
export interface Circumstances {
  readonly uid: string;
  readonly time: Instant;
  readonly ei: number;
  readonly [field: string]: unknown;
}

/** The whole event. A field of the body overrides a circumstance of the same name. */
export const completed = (body: EventBody, circumstances: Circumstances): ParsedAuditEvent =>
  ({ ...circumstances, ...body }) as unknown as ParsedAuditEvent;
