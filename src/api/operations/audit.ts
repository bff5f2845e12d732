import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { auditNumbers } from '../../domain/audit.ts';
import { parsedAuditEvent } from '../../domain/audit-event.ts';
import { operation } from '../operation.ts';
import { done } from './fields.ts';

/**
 * Stores audit events that the caller saw, in order; if one is refused, those before it may be stored. An
 * event sent again is stored once: `numbered` recognises it however old it is; callers of the previous
 * release leave it out.
 */
export const emitAudit = operation({
  name: 'audit.emit',
  repeatable: true,
  untended: true,
  who: ['Node', 'Proxy'],
  resource: 'event',
  verb: 'create',
  input: z.object({ events: z.array(parsedAuditEvent).min(1).max(200), numbered: auditNumbers.optional() }),
  output: done,
});

export const searchAudit = operation({
  name: 'audit.search',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'event',
  verb: 'list',
  input: z.object({
    from: instant,
    to: instant,
    /** Empty: all types. */
    types: z.array(z.string()).default([]),
    user: z.string().default(''),
    /** Id or name of a machine; absent or empty: all. Auth servers of the release before pass it over. */
    node: z.string().optional(),
    /** The newest are kept when more match; fewer of large ones, so that the response is bounded. */
    limit: z.number().int().positive().max(10_000).default(500),
  }),
  /** Ascending by time, then `ei`. `truncated` when older ones were left out. */
  output: z.object({ events: z.array(parsedAuditEvent), truncated: z.boolean() }),
});
