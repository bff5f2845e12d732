import { z } from 'zod';
import { instant } from '../base/time.ts';

/**
 * One audit event in the form users of 4.4 know (types, codes and field names of its audit log), plus what we add:
 * `actor`, `request_id`. Unknown extra fields are kept.
 * `uid` is the idempotency key: the same event sent twice is stored once.
 */
export const auditEvent = z.looseObject({
  /** `session.start`, `exec`, … */
  event: z.string().min(1).max(64),
  /** `T2000I`, … */
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
