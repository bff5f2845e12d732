import type { HostIdentity } from './host-identity.ts';

/**
 * What a machine shows in one role, which is renewed while those who use it live. Mostly one identity; while
 * the host authority is rotated, one when it calls and another one when it is called.
 */
export interface ShownIdentities {
  /** To those whom it calls: the newest. */
  readonly client: HostIdentity;
  /** To those who call it. */
  readonly server: HostIdentity;
}

export interface CurrentIdentity {
  /** What it shows when it calls. Whoever keeps it, or what was made of it, follows `changes`. */
  current(): HostIdentity;
  /** What it shows when it is called. */
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

/** @param server where it is another one. */
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
