import { messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Followable } from '../../log/event-log.ts';
import { type AuthoritiesState, authoritiesView } from '../../views/authorities.ts';
import { openView } from '../../views/open-view.ts';
import type { View } from '../../views/view.ts';
import type { FollowedAuthority } from './renew-identity.ts';

/**
 * The host authority of a view; a view that has failed reports that itself, and does not change here any
 * more.
 */
export const hostAuthorityOf = (
  view: Pick<View<AuthoritiesState>, 'state' | 'changes'>,
): FollowedAuthority => ({
  state: () => view.state().host.state,
  subscribe: (onChange) =>
    view.changes.subscribe({
      next: onChange,
      error: () => undefined,
    }),
});

/**
 * Follows the host authority by a fold of its own. Until that is open, for which an auth server is needed,
 * nothing is known about it.
 */
export function followHostAuthority(
  log: Followable,
  sink: Pick<LogSink, 'error'>,
): FollowedAuthority & { close(): void } {
  const followers = new Set<{ readonly onChange: () => void }>();
  let view: View<AuthoritiesState> | undefined;
  let closed = false;
  const opened = (one: View<AuthoritiesState>): void => {
    if (closed) {
      one.close();
      return;
    }
    view = one;
    hostAuthorityOf(one).subscribe(() => {
      for (const { onChange } of [...followers]) onChange();
    });
  };
  openView(authoritiesView, log).then(opened, (e: unknown) => {
    if (!closed)
      sink.error('the authorities of the cluster cannot be followed: a rotation will not be noticed here', {
        reason: messageOf(e),
      });
  });
  return {
    state: () => view?.state().host.state ?? { status: 'absent' },
    subscribe: (onChange) => {
      const follower = { onChange };
      followers.add(follower);
      return { unsubscribe: () => void followers.delete(follower) };
    },
    close: () => {
      closed = true;
      view?.close();
    },
  };
}
