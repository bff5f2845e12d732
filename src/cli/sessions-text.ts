import type { OutputOf } from '../api/operation.ts';
import type { listSessions } from '../api/operations/session.ts';
import { type Instant, msBetween, second } from '../base/time.ts';
import { formatGoDuration } from '../base/go-duration.ts';
import { formatTable } from './table.ts';
import { wholeSeconds } from './whole-seconds.ts';

export type RunningSessions = OutputOf<typeof listSessions>;
export type RunningSession = RunningSessions['sessions'][number];

/** Nodes with the same name are told apart by their id. */
export interface SessionFilter {
  readonly user?: string | undefined;
  /** Name or UUID. */
  readonly node?: string | undefined;
}

export const filteredSessions = (
  { sessions, unnamed }: RunningSessions,
  { user, node }: SessionFilter,
): RunningSessions => ({
  sessions: sessions.filter(
    (one) =>
      (user === undefined || one.user === user) &&
      (node === undefined || one.nodename === node || one.hostId === node.toLowerCase()),
  ),
  unnamed: unnamed.filter(
    (one) => node === undefined || one.nodename === node || one.hostId === node.toLowerCase(),
  ),
});

/** What `sessions ls` prints. @param now by the clock of this machine. */
export function sessionsText({ sessions, unnamed }: RunningSessions, now: Instant): string {
  const table =
    sessions.length === 0
      ? 'No sessions with a terminal run now.\n'
      : formatTable(
          ['ID', 'User', 'Login', 'Node', 'Since', 'Idle', 'From', 'Joined by'],
          sessions.map((one) => [
            one.sid,
            one.user,
            one.login,
            one.nodename,
            wholeSeconds(one.startedAt),
            one.idleSince === undefined ? '-' : silence(one.idleSince, now),
            one.from,
            guestsOf(one),
          ]),
        );
  const more = unnamed.map(
    ({ nodename, hostId, count }) => `${count} more on ${nodename} (${hostId}), which cannot name so many\n`,
  );
  return [table, ...more].join('');
}

const guestsOf = ({ guests = [] }: RunningSession): string =>
  guests.length === 0 ? '-' : guests.map(({ user, mode }) => `${user} (${mode})`).join(', ');

/** Clocks may differ by a little. */
const silence = (since: Instant, now: Instant): string =>
  formatGoDuration(Math.max(0, Math.floor(msBetween(since, now) / second) * second));

export const sessionsJson = ({ sessions }: RunningSessions): string =>
  `${JSON.stringify(sessions, undefined, 4)}\n`;
