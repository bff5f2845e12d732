import {
  activeSigner,
  authority,
  authorityFact,
  type AuthorityKey,
  type AuthorityState,
  type AuthorityType,
  trustedKeys,
} from '../domain/authority.ts';
import { idInStream } from '../domain/streams.ts';
import type { Recorded } from '../log/event.ts';
import { readFact, typesOf } from './read-fact.ts';
import type { Projection } from './view.ts';

export interface AuthorityEntry {
  readonly state: AuthorityState;
  /** By key id, the event whose secrets are that key's private halves. Empty where events come without secrets. */
  readonly sealedIn: Readonly<Record<string, Recorded>>;
}

export type AuthoritiesState = Readonly<Record<AuthorityType, AuthorityEntry>>;

const absent: AuthorityEntry = { state: authority.initial, sealedIn: {} };
const types = typesOf(authorityFact);

/** Both authorities: what signs, what is trusted. */
export const authoritiesView: Projection<AuthoritiesState> = {
  name: 'authorities.1',
  initial: { user: absent, host: absent },
  apply(state, event) {
    const type = idInStream(event.stream, 'authority');
    if (type !== 'user' && type !== 'host') return state;
    const fact = readFact(authorityFact, types, event);
    if (!fact) return state;
    const sealedIn = { ...state[type].sealedIn };
    for (const { keyId } of fact.data.keys) if (event.sealed) sealedIn[keyId] = event;
    return { ...state, [type]: { state: authority.evolve(state[type].state, fact), sealedIn } };
  },
  encode: (state) => state,
  decode: (stored) => stored as AuthoritiesState,
};

/**
 * The key that signs now, and the event that holds its private halves under `sshSecretName` and `tlsSecretName`.
 * @throws CodedError `unavailable` when there is none.
 */
export function signerOf(
  state: AuthoritiesState,
  type: AuthorityType,
): { readonly key: AuthorityKey; readonly sealedIn: Recorded | undefined } {
  const key = activeSigner(state[type].state);
  return { key, sealedIn: state[type].sealedIn[key.keyId] };
}

/** Every key of the authority that is trusted now, the active one first; none before the cluster is initialised. */
export const trustedOf = (state: AuthoritiesState, type: AuthorityType): readonly AuthorityKey[] =>
  trustedKeys(state[type].state);
