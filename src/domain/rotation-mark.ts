import { z } from 'zod';
import type { AuthorityState } from './authority-state.ts';
import { type RotationPhase, rotationPhases } from './rotation.ts';
import type { SystemRole } from './host-info.ts';

/**
 * What a host has adopted of an authority's rotation, in a few bytes, since every heartbeat carries it: the
 * beginning of the rotation's id, a colon and the phase; empty before the first rotation.
 */
export type RotationMark = string;

const idLength = 8;

/** What a host has adopted: of the user authority, of the host authority. */
export type Adopted = readonly [user: RotationMark, host: RotationMark];

const sentMark = z.string().max(32);
export const sentAdopted = z.tuple([sentMark, sentMark]).readonly();

/** As it is sent and stored: no field at all before the first rotation. */
export const adoptedField = (adopted: Adopted): { readonly adopted?: Adopted } =>
  adopted.every((mark) => mark === '') ? {} : { adopted };

/** A missing value means that nothing is adopted. */
export const sameAdopted = (a: Adopted | undefined, b: Adopted | undefined): boolean =>
  [0, 1].every((i) => (a?.[i] ?? '') === (b?.[i] ?? ''));

/** What a host reports once it has adopted everything that `state` requires. */
export function rotationMark(state: AuthorityState): RotationMark {
  if (state.status === 'absent') return '';
  const { rotation } = state;
  const id = rotation.phase === 'standby' ? rotation.lastRotationId : rotation.rotationId;
  return id === null ? '' : markIn(id, rotation.phase);
}

/** The mark of whoever has adopted this phase of this rotation. */
export const markIn = (rotationId: string, phase: RotationPhase): RotationMark =>
  `${rotationId.slice(0, idLength)}:${phase}`;

/** The phase in a mark, for people; undefined in none, and in one that is not a mark. */
export function phaseOfMark(mark: RotationMark): RotationPhase | undefined {
  const phase = mark.slice(idLength + 1);
  return rotationPhases.find((one) => one === phase);
}

/** A host that is alive, and what it reported. */
export interface ReportingHost {
  readonly hostId: string;
  readonly role: SystemRole;
  /** For the authority in question; undefined for a release that reports none. */
  readonly mark: RotationMark | undefined;
}

/** The hosts that have not acknowledged the authority's current phase. */
export const outstanding = <H extends ReportingHost>(
  state: AuthorityState,
  alive: readonly H[],
): readonly H[] => alive.filter(({ mark }) => (mark ?? '') !== rotationMark(state));
