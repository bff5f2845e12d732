import { CodedError } from '../base/errors.ts';
import type { Caller, Who } from './operation.ts';

/** What the guard compares with an operation's `who`. */
export function whoOf(caller: Caller): Who {
  if (caller.kind === 'host') return caller.role;
  return caller.kind === 'user' && caller.administers === true ? 'operator' : caller.kind;
}

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

const howToAdminister =
  ': that takes an identity that was signed for it on an auth server, "tctl auth sign --user", of a user with the role "admin"';

/**
 * Lets the caller pass or throws `access_denied`. An operation open to `anyone` is open to every caller that
 * was admitted at all, and one open to people is open to operators.
 */
export function guard(who: readonly Who[], caller: Caller, what: string): void {
  const is = whoOf(caller);
  if (who.includes('anyone') || who.includes(is) || (is === 'operator' && who.includes('user'))) return;
  throw new CodedError(
    'access_denied',
    caller.kind === 'anyone'
      ? `${what} needs a client certificate`
      : `${what} is not open to ${actorOf(caller)}${is === 'user' && who.includes('operator') ? howToAdminister : ''}`,
  );
}
