import { CodedError } from '../base/errors.ts';
import type { Caller, Who } from './operation.ts';

/** What the guard compares with an operation's `who`. */
export const whoOf = (caller: Caller): Who => (caller.kind === 'host' ? caller.role : caller.kind);

/** `user:alice`, `node:<uuid>`, … as the log's `cause.actor` has it. */
export function actorOf(caller: Caller): string {
  switch (caller.kind) {
    case 'anyone':
      return 'anyone';
    case 'user':
      return `user:${caller.username}`;
    case 'host':
      return caller.role === 'Admin' ? 'admin' : `${caller.role.toLowerCase()}:${caller.hostId}`;
  }
}

/**
 * Lets the caller pass or throws `access_denied`. What is open to `anyone` is open to every caller that was admitted
 * at all.
 */
export function guard(who: readonly Who[], caller: Caller, what: string): void {
  if (who.includes('anyone') || who.includes(whoOf(caller))) return;
  throw new CodedError(
    'access_denied',
    caller.kind === 'anyone'
      ? `${what} needs a client certificate`
      : `${what} is not open to ${actorOf(caller)}`,
  );
}
