import {
  type AuthorityFact,
  authorityFact,
  type AuthorityKey,
  type AuthorityType,
  keysBroughtBy,
} from '../domain/authority-facts.ts';
import { activeSigner, type AuthorityState, keysOfSessions, trustedKeys } from '../domain/authority-state.ts';
import { authority } from '../domain/authority.ts';
import { type Adopted, rotationMark } from '../domain/rotation-mark.ts';
import { idInStream } from '../domain/streams.ts';
import type { Recorded } from '../log/event.ts';
import { type Unreadable, withUnread } from './entities.ts';
import { readFact, typesOf, type UnreadableFact } from './read-fact.ts';
import type { Projection } from './view.ts';

export interface AuthorityEntry {
  readonly state: AuthorityState;
  /**
   * By key id, the event whose secrets are that key's private halves. Empty where events come without
   * secrets.
   */
  readonly sealedIn: Readonly<Record<string, Recorded>>;
  /**
   * The facts that this release cannot read: with any, nothing that the authority signed is trusted, and
   * nothing is signed.
   */
  readonly unreadable?: readonly UnreadableFact[];
}

export type AuthoritiesState = Readonly<Record<AuthorityType, AuthorityEntry>>;

const absent: AuthorityEntry = { state: authority.initial, sealedIn: {} };
const types = typesOf(authorityFact);

/** Both authorities: which key signs, which are trusted. */
export const authoritiesView: Projection<AuthoritiesState> = {
  // Releases before rotation ignored its facts: their snapshots are not used.
  name: 'authorities.3',
  initial: { user: absent, host: absent },
  apply(state, event) {
    const type = idInStream(event.stream, 'authority');
    if (type !== 'user' && type !== 'host') return state;
    const reading = readFact(authorityFact, types, event);
    if (reading.status === 'ignored') return state;
    if (reading.status === 'unreadable') {
      const unreadable = withUnread(state[type].unreadable ?? [], reading.unread);
      return { ...state, [type]: { ...state[type], state: authority.initial, unreadable } };
    }
    return { ...state, [type]: entryAfter(state[type], event, reading.fact) };
  },
  encode: (state) => state,
  decode: (stored) => stored as AuthoritiesState,
};

function entryAfter(before: AuthorityEntry, event: Recorded, fact: AuthorityFact): AuthorityEntry {
  const state = authority.evolve(before.state, fact);
  const withdrawn = new Set(state.status === 'created' ? state.retired.map(({ key }) => key.keyId) : []);
  const brought = event.sealed === undefined ? [] : keysBroughtBy(fact);
  const sealedIn = Object.fromEntries(
    [...Object.entries(before.sealedIn), ...brought.map(({ keyId }) => [keyId, event] as const)].filter(
      ([keyId]) => !withdrawn.has(keyId),
    ),
  );
  // After a step that could not be read, later steps do not show which keys there are: only a fact with all
  // of them does.
  const earlier = before.unreadable ?? [];
  const isWhole = fact.type === 'authority.created';
  const unreadable = isWhole ? earlier.filter((one) => !types.has(one.type)) : earlier;
  return unreadable.length === 0
    ? { state, sealedIn }
    : { ...before, state: before.state, sealedIn, unreadable };
}

export const unreadableAuthorities = (state: AuthoritiesState): readonly Unreadable[] =>
  (['user', 'host'] as const).flatMap((name) =>
    (state[name].unreadable ?? []).map((fact) => ({ kind: 'authority', name, ...fact })),
  );

/**
 * The key that signs now, and the event that holds its private halves under `sshSecretName` and
 * `tlsSecretName`.
 * @throws CodedError `unavailable` when there is none.
 */
export function signerOf(
  state: AuthoritiesState,
  type: AuthorityType,
): { readonly key: AuthorityKey; readonly sealedIn: Recorded | undefined } {
  const key = activeSigner(state[type].state);
  return { key, sealedIn: state[type].sealedIn[key.keyId] };
}

/** What a host reports that has adopted everything that both authorities require. */
export const marksOf = ({ user, host }: AuthoritiesState): Adopted => [
  rotationMark(user.state),
  rotationMark(host.state),
];

/** Every key of the user authority under which an established session may continue. */
export const keysOfSessionsIn = ({ user }: AuthoritiesState): readonly AuthorityKey[] =>
  keysOfSessions(user.state);

/**
 * Every key of the authority that is trusted now, the active one first; none before the cluster is
 * initialised.
 */
export const trustedOf = (state: AuthoritiesState, type: AuthorityType): readonly AuthorityKey[] =>
  trustedKeys(state[type].state);
