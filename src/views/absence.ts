import { minute } from '../base/time.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { longestAbsenceMs, presenceFact } from '../domain/presence.ts';
import { nonePassed, type Passed, passedAt } from './passed.ts';
import { readFact } from './read-fact.ts';
import { emptyTable, entriesOf, getIn, setIn, sweepIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

/**
 * For how long each host has not been heard of, measured by the order of `presence` itself: every reader
 * finds the same, a clock that is set ahead makes nobody older, and while no auth server writes nobody grows
 * older.
 */
export interface AbsenceState {
  readonly passed: Passed;
  /** By `<hostId>/<role>`: how much time had passed at its last renewal. */
  readonly renewedMs: Table<number>;
}

/** As in a snapshot. */
interface StoredAbsence {
  readonly passed: Passed;
  readonly renewed: readonly (readonly [key: string, ms: number])[];
}

const types: ReadonlySet<string> = new Set(['hosts.renewed']);
const keyOf = (hostId: string, role: SystemRole): string => `${hostId}/${role}`;
/** Auth servers write more often than this as long as any of them serves. */
const longestStepMs = minute;

export const absenceView: Projection<AbsenceState> = {
  name: 'absence.1',
  // What was trimmed before it began counts as if nobody had been there: absences only look shorter.
  saidAgainWithinMs: minute,
  initial: { passed: nonePassed, renewedMs: emptyTable },
  apply({ passed: before, renewedMs: known }, event) {
    const passed = passedAt(before, event.cause.at, longestStepMs);
    const reading = readFact(presenceFact, types, event);
    if (reading.status !== 'read') return { passed, renewedMs: known };
    let renewedMs = known;
    for (const { hostId, role } of reading.fact.data.hosts)
      renewedMs = setIn(renewedMs, keyOf(hostId, role), passed.ms);
    // A few entries with each fact.
    return {
      passed,
      renewedMs: sweepIn(renewedMs, event.position, (ms) => passed.ms - ms <= longestAbsenceMs),
    };
  },
  encode: ({ passed, renewedMs }): StoredAbsence => ({ passed, renewed: entriesOf(renewedMs) }),
  decode: (stored) => {
    const { passed, renewed } = stored as StoredAbsence;
    return { passed, renewedMs: tableFrom(renewed) };
  },
};

/**
 * Milliseconds. Of a host that is not known: since this fold began, so a host that joined a moment ago looks
 * as old as that until its first renewal is folded.
 */
export const absentMs = ({ passed, renewedMs }: AbsenceState, hostId: string, role: SystemRole): number =>
  passed.ms - (getIn(renewedMs, keyOf(hostId, role)) ?? 0);
