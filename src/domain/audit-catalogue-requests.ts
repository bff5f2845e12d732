import { z } from 'zod';
import { instant } from '../base/time.ts';
import { auth, row, text, texts } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';

/** As 4.4 writes them. */
const state = z.enum(['PENDING', 'APPROVED', 'DENIED']);

/**
 * The audit events of access requests: a part of `audit-catalogue.ts`, which has the rules for all of them.
 * `user` is who requests; `updated_by` is who made the request or resolved it.
 */
export const requestEvents = {
  accessRequestCreate: auditKind(
    'access_request.create',
    'T5000I',
    auth,
    row({ user: text, id: text, state, roles: texts, reason: text, updated_by: text, expires: instant }),
  ),
  accessRequestUpdate: auditKind(
    'access_request.update',
    'T5001I',
    auth,
    row({
      ...{ user: text, id: text, state, roles: texts, reason: text, updated_by: text, expires: instant },
      delegator: text.optional(),
      annotations: z.record(text, texts).readonly().optional(),
    }),
  ),
  /** Of the releases after 4.4. */
  accessRequestDelete: auditKind(
    'access_request.delete',
    'T5003I',
    auth,
    row({ user: text, id: text, updated_by: text }),
  ),
  /** A certificate was exchanged for one that names approved requests, whose roles add to `roles`. */
  certificateOfRequests: auditKind(
    'cert.create',
    'TC003I',
    auth,
    row({
      cert_type: z.literal('user'),
      ...{ user: text, roles: texts, logins: texts, access_requests: texts },
      ttl_seconds: z.number().int().nonnegative(),
      ...{ serial: text, renews: text },
      /** Left out: an operator had the certificate signed. */
      logged_in: instant.optional(),
      'addr.remote': text,
    }),
  ),
} as const;
