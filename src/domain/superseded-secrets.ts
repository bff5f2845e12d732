import type { Fact, Position, Recorded, StreamName } from '../log/event.ts';
import { authorityFact, sshSecretName } from './authority-facts.ts';
import { idInStream } from './streams.ts';

/** Data keys of one sealed event that is still in force. */
export interface LiveSecrets {
  readonly type: string;
  readonly keyIds: readonly string[];
  /** For an authority: the names of the sealed secrets, since it has several keys at times. */
  readonly names?: readonly string[];
}

/** Stream of the fact that records up to where the keys of superseded secrets are gone from the vault. */
export const secretsStream = 'secrets-destroyed' satisfies StreamName;

/**
 * Stream of the fact that records how the log was recovered after its store had been restored from a backup,
 * which also brought back the old vault.
 */
export const recoveredStream = 'recovery-state' satisfies StreamName;

/** Recorded once all keys that were superseded at or before `upTo` are known to be gone. */
export const secretsDestroyed = (
  upTo: Position,
  count: number,
): {
  readonly type: 'secrets.destroyed';
  readonly data: { readonly upTo: Position; readonly count: number };
} => ({
  type: 'secrets.destroyed',
  data: { upTo, count },
});

export const keyIdsOf = ({ sealed }: Recorded): readonly string[] =>
  Object.values(sealed ?? {}).map(({ keyId }) => keyId);

/** The secrets of one stream after an event of it, and the data keys that are not needed any more. */
export interface SecretsAfter {
  readonly live: readonly LiveSecrets[];
  readonly superseded: readonly string[];
}

/**
 * Which secrets an event supersedes. A newer password or seed replaces the previous one. A deleted user, and
 * a link that was used or withdrawn, keep none; a link that is opened gets a new seed. Of an authority, the
 * private half of a withdrawn key is superseded. Secrets of other streams stay.
 */
export function secretsAfter(before: readonly LiveSecrets[], event: Recorded): SecretsAfter {
  const { type } = event.fact;
  const gone = (one: LiveSecrets): boolean => isSuperseded(one, event);
  const kept = before.filter((one) => !gone(one));
  const superseded = before.filter(gone).flatMap(({ keyIds }) => keyIds);
  const keyIds = keyIdsOf(event);
  if (keyIds.length === 0) return { live: superseded.length === 0 ? before : kept, superseded };
  const names = isOfAuthority(event) ? { names: Object.keys(event.sealed ?? {}) } : {};
  return { live: [...kept, { type, keyIds, ...names }], superseded };
}

const isOfAuthority = ({ stream }: Recorded): boolean => idInStream(stream, 'authority') !== undefined;

function isSuperseded(one: LiveSecrets, event: Recorded): boolean {
  if (isOfAuthority(event)) return isWithdrawn(one, event.fact);
  const { stream, fact, sealed } = event;
  const { type } = fact;
  if (idInStream(stream, 'invite') !== undefined)
    return type === 'invite.accepted' || type === 'invite.revoked' || sealed !== undefined;
  if (idInStream(stream, 'user') === undefined) return false;
  if (type === 'user.deleted') return true;
  if (type === 'user.password_reset') return one.type === 'user.password_set';
  return sealed !== undefined && one.type === type;
}

/** Whether these secrets are useless after a fact of an authority: those of keys that it withdraws. */
function isWithdrawn({ names = [] }: LiveSecrets, fact: Fact): boolean {
  const { data } = authorityFact.safeParse(fact);
  if (data?.type === 'authority.rotation_finished') return !names.includes(sshSecretName(data.data.keyId));
  return data?.type === 'authority.replaced';
}
