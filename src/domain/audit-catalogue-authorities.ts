import { auth, count, row, text, texts } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';

const rotationStep = { user: text, type: text, phase: text, rotation_id: text };

/**
 * The audit events of the authorities: a part of `audit-catalogue.ts`, which has the rules for all of them.
 */
export const authorityEvents = {
  authorityCreate: auditKind(
    'cert_authority.create',
    'TCA000I',
    auth,
    row({ user: text, name: text, type: text }),
  ),
  authorityRotate: auditKind(
    'cert_authority.rotate',
    'TCA001I',
    auth,
    row({ ...rotationStep, mode: text.optional(), grace_period_ms: count.optional() }),
  ),
  /** Hosts that had not acknowledged the previous phase were left behind. */
  authorityRotateForced: auditKind(
    'cert_authority.rotate',
    'TCA001W',
    auth,
    row({ ...rotationStep, left: texts }),
  ),
  /** Hosts that are alive have not acknowledged the phase that is to end: their names, and how many. */
  authorityRotateWaiting: auditKind(
    'cert_authority.rotate_waiting',
    'TCA003W',
    auth,
    row({ ...rotationStep, hosts: texts, count }),
  ),
  /** Without a grace period. */
  authorityReplace: auditKind(
    'cert_authority.replace',
    'TCA002W',
    auth,
    row({ user: text, type: text, rotation_id: text, left: texts }),
  ),
} as const;
