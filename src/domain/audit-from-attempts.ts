import type { Recorded } from '../log/event.ts';
import { catalogue } from './audit-catalogue.ts';
import type { ParsedAuditEvent } from './audit-event.ts';
import { auditFromState, complete } from './audit-from-state.ts';
import { toldAddresses } from './audit-from-user.ts';
import type { EventBody } from './audit-kind.ts';
import { type WithdrawnFact, withdrawnFact } from './login-attempts.ts';
import { readStored } from './read-stored.ts';
import { idInStream } from './streams.ts';

/**
 * The audit events of what happened in the partition `attempts`. As of facts of `state`, deriving them twice
 * gives the same.
 */
export function auditFromAttempts(recorded: Recorded): readonly ParsedAuditEvent[] {
  const username = idInStream(recorded.stream, 'user');
  if (username === undefined) return [];
  const told = readStored(withdrawnFact, recorded.fact);
  return told === undefined ? auditFromState(recorded) : complete(recorded, [tellWithdrawn(username, told)]);
}

const tellWithdrawn = (user: string, { data: { reason, addresses } }: WithdrawnFact): EventBody =>
  catalogue.userLoginFailure({
    user,
    method: 'local',
    success: false,
    error: `the login was recorded, and no certificate issued: ${reason}`,
    ...toldAddresses(addresses),
  });
