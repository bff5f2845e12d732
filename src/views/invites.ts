import { invite, type InviteFact, inviteFact, type PendingInvite } from '../domain/invite.ts';
import { idInStream } from '../domain/streams.ts';
import type { Recorded } from '../log/event.ts';
import {
  allKnown,
  type Entities,
  entitiesFrom,
  foldEntity,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { readFact, typesOf } from './read-fact.ts';
import { getIn } from './table.ts';
import type { Projection } from './view.ts';

export interface InviteEntry {
  readonly tokenHash: string;
  readonly state: PendingInvite;
  /** The event that contains the valid secret `otpSeed`. */
  readonly seedIn: Recorded;
}

/** Invites that were neither accepted nor revoked, by the hash of their token. They may have expired. */
export type InvitesState = Entities<InviteEntry>;

const types = typesOf(inviteFact);

export const invitesView: Projection<InvitesState> = {
  name: 'invites.3',
  initial: noEntities,
  apply(invites, event) {
    const tokenHash = idInStream(event.stream, 'invite');
    if (tokenHash === undefined) return invites;
    return foldEntity(invites, tokenHash, readFact(inviteFact, types, event), {
      evolve: (before: InviteEntry | undefined, fact) => {
        const state = invite.evolve(before?.state ?? invite.initial, fact);
        if (state.status !== 'pending') return undefined;
        return { tokenHash, state, seedIn: before === undefined || event.sealed ? event : before.seedIn };
      },
      settles: ends,
    });
  },
  encode: storedEntities,
  decode: (stored) => entitiesFrom(stored as StoredEntities<InviteEntry>),
  earlier: [{ name: 'invites.2', upcast: allKnown }],
};

/** An invite works once: its last fact ends it, even if earlier facts could not be read. */
const ends = ({ type }: InviteFact): boolean => type === 'invite.accepted' || type === 'invite.revoked';

/**
 * Undefined when the token was never issued, or was used or revoked. The caller checks expiry:
 * `usableInvite`.
 */
export const findInvite = ({ known }: InvitesState, tokenHash: string): InviteEntry | undefined =>
  getIn(known, tokenHash);
