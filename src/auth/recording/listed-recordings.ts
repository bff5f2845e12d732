import type { z } from 'zod';
import type { ListedRecording } from '../../api/operations/recording.ts';
import type { auditEvent } from '../../domain/audit-event.ts';

type Told = z.input<typeof auditEvent>;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const count = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** What the audit says of sessions, and of what became of their recordings. */
export interface ToldSessions {
  /** `session.start` and `session.end`. */
  readonly sessions: readonly Told[];
  /** `session.upload` and `session.recording.erase`. */
  readonly fates: readonly Told[];
}

/**
 * Sessions of which something was recorded, in the order in which they began. One that has no end yet is
 * among them when it had a terminal: whether it is recorded is not in the audit before.
 */
export function listedRecordings({ sessions, fates }: ToldSessions): ListedRecording[] {
  const named = (event: string): Map<string, Told> =>
    new Map([...sessions, ...fates].filter((one) => one.event === event).map((one) => [one.sid ?? '', one]));
  const ends = named('session.end');
  const [stored, erased] = [named('session.upload'), named('session.recording.erase')];
  const live = [...named('session.start').values()].filter(
    ({ sid = '', ...event }) => !ends.has(sid) && event['size'] !== undefined,
  );
  const ended = [...ends.values()].filter((end) => (count(end['recording_chunks']) ?? 0) > 0);
  const statusOf = (sid: string, otherwise: 'live' | 'ended'): ListedRecording['status'] => {
    if (erased.has(sid)) return 'erased';
    return stored.has(sid) ? 'stored' : otherwise;
  };
  return [
    ...live.map((event) => ({
      ...common(event),
      startedAt: event.time,
      participants: [event.user ?? ''],
      status: statusOf(event.sid ?? '', 'live'),
    })),
    ...ended.map((event) => ({
      ...common(event),
      ...endOf(event),
      status: statusOf(event.sid ?? '', 'ended'),
    })),
  ].sort((a, b) => compare(a.startedAt, b.startedAt) || compare(a.sid, b.sid));
}

const common = (event: Told): Pick<ListedRecording, 'sid' | 'user' | 'login' | 'hostId' | 'hostname'> => ({
  sid: event.sid ?? '',
  user: event.user ?? '',
  login: event.login ?? '',
  hostId: event.server_id ?? '',
  hostname: text(event['server_hostname']),
});

const endOf = (end: Told) => ({
  startedAt: text(end['session_start']) || end.time,
  endedAt: text(end['session_stop']) || end.time,
  participants: participantsOf(end),
  mode: text(end['session_recording']),
  bytes: count(end['recording_bytes']),
  lostBytes: count(end['recording_lost_bytes']),
  chunks: count(end['recording_chunks']),
  head: text(end['recording_head']),
});

function participantsOf(end: Told): string[] {
  const all = end['participants'];
  return Array.isArray(all) ? all.filter((one) => typeof one === 'string') : [end.user ?? ''];
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
