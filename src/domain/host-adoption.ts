import type { Instant } from '../base/time.ts';
import { type AuthorityState, type CreatedAuthority, keysInUse, type RetiredKey } from './authority-state.ts';
import { markIn, type RotationMark, rotationMark } from './rotation-mark.ts';
import type { RotatingPhase, RotationPhase } from './rotation.ts';

/** Ids of keys of the host authority, by how a host uses them; undefined: a key that is not trusted. */
export interface HeldKeys {
  /** Signed the certificate that it shows as a client. */
  readonly client: string | undefined;
  /** Signed the certificate that it shows as a server. */
  readonly server: string | undefined;
  /** Those whose certificates it accepts. */
  readonly trusts: readonly string[];
}

/**
 * Phases that a host which lags behind may have adopted, the nearest first. For a rollback the list is empty,
 * since any phase may have come before it.
 */
const before: Readonly<Record<RotatingPhase, readonly RotatingPhase[]>> = {
  init: [],
  update_clients: ['init'],
  update_servers: ['update_clients', 'init'],
  rollback: [],
};

/** How far a host has adopted the rotation of the host authority. Empty when it has adopted no part of it. */
export function adoptedMark(state: AuthorityState, held: HeldKeys): RotationMark {
  if (state.status === 'absent') return '';
  if (hasAdopted(state, held)) return rotationMark(state);
  const { rotation } = state;
  if (rotation.phase === 'standby') return '';
  const reached = before[rotation.phase]
    .map((phase): CreatedAuthority => ({ ...state, rotation: { ...rotation, phase } }))
    .find((earlier) => hasAdopted(earlier, held));
  return reached === undefined ? '' : rotationMark(reached);
}

/**
 * Whether a host shows and trusts what the authority asks of it. A machine that joined after the new key
 * began to sign has no older certificate to show: that counts as adopted.
 */
function hasAdopted(state: CreatedAuthority, { client, server, trusts }: HeldKeys): boolean {
  const { clients, servers, trusted } = keysInUse(state);
  return (
    client === clients.keyId &&
    (server === servers.keyId || server === clients.keyId) &&
    trusted.every(({ keyId }) => trusts.includes(keyId))
  );
}

/** Whoever has adopted one of these holds a certificate of the key that stayed. */
const holdsWhatStays: Readonly<Record<RetiredKey['why'], readonly RotationPhase[]>> = {
  rotated: ['update_clients', 'update_servers', 'standby'],
  rolled_back: ['init', 'rollback', 'standby'],
  replaced: ['standby'],
};

/**
 * Whether the certificate is void that a host had when it was heard last, because its key was withdrawn
 * since: it was left behind, or away. Judged by what it had reported then.
 */
export function hasLostItsKey(
  state: AuthorityState,
  { heardAt, mark }: { readonly heardAt: Instant; readonly mark: RotationMark },
): boolean {
  const retired = state.status === 'created' ? state.retired : [];
  return retired.some(
    ({ at, why, rotationId = '' }) =>
      heardAt <= at && !holdsWhatStays[why].some((phase) => mark === markIn(rotationId, phase)),
  );
}
