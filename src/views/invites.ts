import { invite, inviteFact, type PendingInvite } from '../domain/invite.ts';
import { idInStream } from '../domain/streams.ts';
import type { Recorded } from '../log/event.ts';
import { readFact, typesOf } from './read-fact.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

export interface InviteEntry {
  readonly tokenHash: string;
  readonly state: PendingInvite;
  /** The event whose secret `otpSeed` counts. */
  readonly seedIn: Recorded;
}

/** Invites that were neither accepted nor revoked, by the hash of their token. They may have expired. */
export type InvitesState = Table<InviteEntry>;

const types = typesOf(inviteFact);

export const invitesView: Projection<InvitesState> = {
  name: 'invites.2',
  initial: emptyTable,
  apply(invites, event) {
    const tokenHash = idInStream(event.stream, 'invite');
    if (tokenHash === undefined) return invites;
    const fact = readFact(inviteFact, types, event);
    if (!fact) return invites;
    const before = getIn(invites, tokenHash);
    const state = invite.evolve(before?.state ?? invite.initial, fact);
    return state.status === 'pending'
      ? setIn(invites, tokenHash, {
          tokenHash,
          state,
          seedIn: before === undefined || event.sealed ? event : before.seedIn,
        })
      : removeIn(invites, tokenHash);
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, InviteEntry][]),
};

/** Undefined when the token was never issued, or was used or revoked. Expiry is the reader's to check: `usableInvite`. */
export const findInvite = (invites: InvitesState, tokenHash: string): InviteEntry | undefined =>
  getIn(invites, tokenHash);
