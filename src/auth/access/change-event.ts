import type { ChangeEvent } from '../../api/operations/access.ts';
import { may } from '../../api/guard.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { Recorded } from '../../log/event.ts';

/** Streams of hosts are about nodes here. */
const kinds: Readonly<Record<string, string>> = { host: 'node' };

export function changeEventOf({ stream, fact, cause, position }: Recorded): ChangeEvent {
  const at = stream.indexOf('-');
  const category = stream.slice(0, at);
  return {
    type: fact.type,
    resource: `${kinds[category] ?? category}/${stream.slice(at + 1)}`,
    ...{ at: cause.at, actor: cause.actor, requestId: cause.requestId, position },
  };
}

/** Who did something is what the audit says: whoever may not read that is not told here either. */
export function requireEvents(call: Call): void {
  if (!may(call, 'list', { kind: 'event' }))
    throw new CodedError(
      'access_denied',
      'access denied to perform action "list" on "event": who changed something is told to those who may read events',
    );
}
