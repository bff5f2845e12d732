import type { AuthorityRotation, LaggingHost } from '../../../api/operations/authority.ts';
import { rotationSchedule, rotationWords, shortMoment } from '../../../domain/rotation-words.ts';
import { formatPairs, formatTable } from '../../table.ts';
import type { Following } from './following.ts';

type Row = [string, string];

/** `1,204`, whatever the language of this machine. */
export const counted = (n: number): string => n.toLocaleString('en-US');

/** `1,204 of 1,207 hosts have it` */
export const followText = ({
  alive,
  acknowledged,
}: Pick<AuthorityRotation, 'alive' | 'acknowledged'>): string =>
  `${counted(acknowledged)} of ${counted(alive)} hosts ${acknowledged === 1 ? 'has' : 'have'} it`;

/**
 * The lines of one authority in `tctl status`: the first as in 4.4, with the schedule on request; then, while
 * there is a rotation, how far hosts follow, and what is next.
 */
export function authorityRows(rotation: AuthorityRotation, withSchedule: boolean): Row[] {
  const { type, underWay, alive, acknowledged, lastRotatedAt } = rotation;
  const title = type === 'user' ? 'User CA' : 'Host CA';
  const schedule = withSchedule ? rotationSchedule(rotation) : [];
  const due = schedule.map(
    ({ phase, at }) => `, ${phase === 'standby' ? 'complete' : phase}: ${shortMoment(at)}`,
  );
  const first: Row = [title, rotationWords(rotation) + due.join('')];
  if (underWay !== undefined) return [first, ['', `${followText(rotation)}; next: ${nextText(rotation)}`]];
  // Before the first rotation there is nothing to follow.
  if (lastRotatedAt === undefined || alive === acknowledged) return [first];
  return [first, ['', `${followText(rotation)}: see "tctl auth rotate --status"`]];
}

/** The next step of the current rotation, and when or by which command it is taken. */
function nextText({ type, underWay, alive, acknowledged }: AuthorityRotation): string {
  if (underWay === undefined) return '';
  const { next, nextAt } = underWay;
  if (nextAt === undefined) return `${next}, by tctl auth rotate --type=${type} --phase=${next}`;
  const waits = alive > acknowledged ? ', once all have it' : '';
  return `${next} at ${shortMoment(nextAt)}${waits}`;
}

/** The output of `tctl auth rotate --status` for one authority. */
export function statusText(rotation: AuthorityRotation): string {
  const { type, phase, underWay, lagging, alive, acknowledged } = rotation;
  const [first, ...followed] = authorityRows(rotation, true);
  const rows: Row[] = first === undefined ? [] : [first];
  if (underWay === undefined) rows.push(...followed);
  else {
    const { mode, phaseSince, phaseBy, startedAt, endsAt, endSessions } = underWay;
    const ending: Row[] =
      endSessions === true ? [['Sessions', 'those that began under the old key end with it']] : [];
    rows.push(
      ['Phase', `${phase}, since ${shortMoment(phaseSince)} by ${phaseBy}`],
      ['Mode', `${mode}, started ${shortMoment(startedAt)}, ending ${shortMoment(endsAt)}`],
      ['Next', nextText(rotation)],
      ...(phase === 'rollback'
        ? []
        : ([['Back', `tctl auth rotate --type=${type} --phase=rollback`]] as Row[])),
      ['Hosts', followText(rotation)],
      ...ending,
    );
  }
  return formatPairs(rows) + (lagging.length === 0 ? '' : `\n${hostTable(lagging, alive - acknowledged)}`);
}

/** Hosts that lack a phase, with what is known of each; `count` is of all of them. */
export function hostTable(hosts: readonly LaggingHost[], count: number): string {
  const rows = hosts.map(({ nodename, role, version, address, lastSeenAt, acknowledged, reason }) => [
    ...[nodename, role, version, address, shortMoment(lastSeenAt)],
    ...[acknowledged ?? 'none', reason],
  ]);
  const titles = ['Nodename', 'Role', 'Version', 'Address', 'Last seen', 'Phase', 'Reason'];
  const more = count - hosts.length;
  return formatTable(titles, rows) + (more > 0 ? `and ${counted(more)} more\n` : '');
}

/** How many of the hosts it waits for are named in a line. */
const namedInLine = 5;

/** The hosts it still waits for, in one line. */
export function progressText({ phases, alive, lacking, named }: Following): string {
  const follow = followText({ alive, acknowledged: alive - lacking }).replace(
    / it$/,
    ` ${phases.join(', ')}`,
  );
  if (lacking === 0) return follow;
  const names = named.slice(0, namedInLine).map(({ nodename, role }) => `${nodename} (${role})`);
  const more = lacking - names.length;
  return `${follow}; waiting for ${names.join(', ')}${more > 0 ? ` and ${counted(more)} more` : ''}`;
}
