import { hour, second } from '../../base/time.ts';
import type { Caller } from '../../api/operation.ts';
import type { Allowance } from '../../domain/allowance.ts';
import type { SystemRole } from '../../domain/host-info.ts';

/** What is measured for each caller. */
export type Measure =
  'changes' | 'audit_events' | 'audit_bytes' | 'recording_bytes' | 'recording_calls' | 'calls' | 'joins';

/**
 * `auth_service.quotas` of the file: for one caller, per hour; `streams` at a time. Each auth server keeps
 * its own count.
 */
export interface QuotaSettings extends Readonly<Record<Measure, number>> {
  /** Logs that one machine follows. */
  readonly streams: number;
}

/**
 * A busy node has ten thousand sessions an hour with some six events of 700 bytes each. A full spool (20,000
 * events) is accepted at once, so that a machine that was cut off continues where it was. A recorded session
 * calls up to twice a second, and at each 64 KiB of output: counted with other calls that would use up what
 * the machine has for its heartbeat.
 */
export const usualQuotas: QuotaSettings = {
  changes: 120,
  audit_events: 120_000,
  audit_bytes: 96 * 1024 * 1024,
  recording_bytes: 8 * 1024 * 1024 * 1024,
  recording_calls: 1_000 * (hour / second),
  calls: 20 * (hour / second),
  joins: 600,
  streams: 64,
};

/** Which part of an hour's amount may be taken at once. */
const atOnce: Readonly<Record<Measure, number>> = {
  changes: 1 / 6,
  audit_events: 1 / 6,
  audit_bytes: 1 / 6,
  recording_bytes: 1 / 6,
  recording_calls: 1 / 180,
  calls: 1 / 180,
  joins: 1 / 6,
};

/** Whose quota it is. */
export interface Whose {
  /** Its name in errors and in the audit: `node:<uuid>`, `user:alice`, `token 0123456789abcdef`. */
  readonly name: string;
  readonly factor: number;
  /** How long it has belonged to the cluster. A new machine has nothing to catch up on. Default: for ever. */
  readonly ageMs?: number;
}

/** What a new machine may take at once, as a share of what an old one may; the share grows with its age. */
export const newcomersShare = 1 / 4;

/** Reports are counted by machine and role. */
export const whoseTelling = (caller: { readonly role: SystemRole; readonly hostId: string }): Whose => ({
  name: `${caller.role.toLowerCase()}:${caller.hostId}`,
  factor: 1,
});

/**
 * Undefined for callers that are not measured: the cluster's own servers and operators, and callers that have
 * shown no certificate yet.
 */
export function whoseCalls(caller: Caller): Whose | undefined {
  if (caller.kind === 'anyone') return undefined;
  if (caller.kind === 'user' || caller.kind === 'foreign')
    return { name: `user:${caller.username}`, factor: 1 };
  if (caller.role === 'Admin' || caller.role === 'Auth') return undefined;
  return whoseTelling(caller);
}

export const allowanceOf = (settings: QuotaSettings, measure: Measure, factor = 1): Allowance => {
  const perHour = settings[measure] * factor;
  return { perHour, atOnce: Math.max(1, Math.ceil(perHour * atOnce[measure])) };
};

export const measureTexts: Readonly<Record<Measure | 'streams', string>> = {
  changes: 'changes of what it announces',
  audit_events: 'audit events',
  audit_bytes: 'bytes of audit events',
  recording_bytes: 'bytes of recordings',
  recording_calls: 'calls of recorded sessions',
  calls: 'calls',
  joins: 'new machines',
  streams: 'logs followed at a time',
};
