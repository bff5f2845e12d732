import type { HostIdentity } from './host-identity.ts';

/**
 * What a machine shows in one role, which is renewed while it is in use. Usually one identity; during a
 * rotation of the host authority, one as a client and another one as a server.
 */
export interface ShownIdentities {
  /** Shown as a client: the newest. */
  readonly client: HostIdentity;
  /** Shown as a server. */
  readonly server: HostIdentity;
}

export interface CurrentIdentity {
  /** The one shown as a client. Code that keeps it, or something derived from it, follows `changes`. */
  current(): HostIdentity;
  /** The one shown as a server. */
  server(): HostIdentity;
  readonly changes: IdentityChanges;
}

export interface IdentityChanges {
  /** `onChange` is called after each change, of either of the two. It does not throw. */
  subscribe(onChange: (shown: ShownIdentities) => void): { unsubscribe(): void };
}

/** An identity that its owner can replace. */
export interface ReplaceableIdentity extends CurrentIdentity {
  shown(): ShownIdentities;
  replace(shown: ShownIdentities): void;
}

/** @param server where it is a different one. */
export function replaceableIdentity(client: HostIdentity, server = client): ReplaceableIdentity {
  let shown: ShownIdentities = { client, server };
  const followers = new Set<{ readonly onChange: (shown: ShownIdentities) => void }>();
  return {
    current: () => shown.client,
    server: () => shown.server,
    shown: () => shown,
    changes: {
      subscribe: (onChange) => {
        const follower = { onChange };
        followers.add(follower);
        return { unsubscribe: () => void followers.delete(follower) };
      },
    },
    replace: (next) => {
      shown = next;
      for (const { onChange } of [...followers]) onChange(next);
    },
  };
}
