import { messageOf } from '../../base/errors.ts';
import type { Recorded } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';

/**
 * Makes secrets that are no longer in force unreadable in every copy of the log. Their replacements were
 * appended before, so a failure here is reported to the operator, not to the caller.
 */
export async function destroySecrets(
  deps: Pick<AuthDeps, 'log' | 'sink'>,
  events: readonly (Recorded | null | undefined)[],
): Promise<void> {
  for (const event of events) {
    if (!event) continue;
    try {
      await deps.log.state.destroySecrets(event);
    } catch (e) {
      deps.sink.warn('the key of a replaced secret could not be destroyed', {
        stream: event.stream,
        position: event.position,
        reason: messageOf(e),
      });
    }
  }
}
