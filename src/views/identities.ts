import { hour, type Instant, msBetween } from '../base/time.ts';
import { identity, identityFact, type SignedIdentity } from '../domain/identity.ts';
import { idInStream } from '../domain/streams.ts';
import {
  type Entities,
  entitiesFrom,
  foldEntity,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { readFact, typesOf } from './read-fact.ts';
import { getIn, sweepIn, valuesOf } from './table.ts';
import type { Projection } from './view.ts';

export interface IdentityEntry extends SignedIdentity {
  readonly signedAt: Instant;
  /** The actor: `admin`, … */
  readonly signedBy: string;
}

/** So long after its end an identity is listed among those that have ended; the log has it for ever. */
const rememberedMs = 90 * 24 * hour;

/** Identities that were signed, by serial. They may have expired. */
export type IdentitiesState = Entities<IdentityEntry>;

const types = typesOf(identityFact);

export const identitiesView: Projection<IdentitiesState> = {
  name: 'identities.1',
  initial: noEntities,
  apply(identities, event) {
    const serial = idInStream(event.stream, 'identity');
    if (serial === undefined) return identities;
    const folded = foldEntity(identities, serial, readFact(identityFact, types, event), {
      evolve: (before: IdentityEntry | undefined, fact) => {
        const state = identity.evolve(identity.initial, fact);
        if (state.status !== 'signed') return before;
        return { ...state.identity, signedAt: event.cause.at, signedBy: event.cause.actor };
      },
      settles: () => false,
    });
    if (folded === identities) return identities;
    const { at } = event.cause;
    const isRemembered = ({ expiresAt }: IdentityEntry): boolean => msBetween(expiresAt, at) <= rememberedMs;
    return { ...folded, known: sweepIn(folded.known, event.position, isRemembered) };
  },
  encode: storedEntities,
  decode: (stored) => entitiesFrom(stored as StoredEntities<IdentityEntry>),
};

/** Those that are valid at this time, and with `all` the others too; in the order in which they expire. */
export const listedIdentities = (
  { known }: IdentitiesState,
  { now, all }: { readonly now: Instant; readonly all: boolean },
): readonly IdentityEntry[] =>
  valuesOf(known)
    .filter(({ expiresAt }) => all || expiresAt > now)
    .sort((a, b) => order(a.expiresAt, b.expiresAt) || order(a.serial, b.serial));

const order = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/**
 * Whether the certificate with this serial was signed to administer the cluster in the name of this user. By
 * the log, not by the certificate: a certificate from a login never does.
 */
export function isToAdminister(
  { known }: IdentitiesState,
  presented: { readonly serial: string; readonly username: string; readonly lifeId: string },
): boolean {
  const holder = getIn(known, presented.serial)?.holder;
  return (
    holder?.kind === 'user' &&
    holder.administers &&
    holder.username === presented.username &&
    holder.lifeId === presented.lifeId
  );
}
