import { searchAudit } from '../../api/operations/audit.ts';
import type { AuditEvent } from '../../domain/audit-event.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { parseMoment, parseNumber } from '../duration.ts';
import { formatTable } from '../table.ts';
import { withAuth } from './connect.ts';

/** `tctl events ls` */
export async function listEvents(invocation: Invocation, io: CliIo): Promise<number> {
  const now = io.world.now();
  const limit = parseNumber(invocation.text('limit') ?? '', { min: 1, max: 10_000 }, '--limit');
  const to = invocation.text('to');
  const query = {
    from: parseMoment(invocation.text('from') ?? '24h', now, '--from'),
    to: to === undefined ? now : parseMoment(to, now, '--to'),
    types: [...invocation.list('type')],
    user: invocation.text('user') ?? '',
    node: invocation.text('node') ?? '',
    limit,
  };
  const { events, truncated } = await withAuth(invocation, io, (auth) => auth.call(searchAudit, query));
  if (invocation.text('format') === 'json')
    io.stdout.write(events.map((e) => `${JSON.stringify(e)}\n`).join(''));
  else if (events.length === 0) io.stdout.write('No events found\n');
  else io.stdout.write(formatTable(['Time (UTC)', 'Event', 'Code', 'User', 'Details'], events.map(rowOf)));
  if (truncated)
    io.stderr.write(`Only the newest ${events.length} are shown: ${wayOut(events.length, limit)}.\n`);
  return 0;
}

const common = new Set(['event', 'code', 'uid', 'time', 'ei', 'user', 'actor', 'request_id', 'namespace']);
/**
 * Fewer than requested: a response has a limited number of bytes of events, and another limit changes
 * nothing.
 */
const wayOut = (shown: number, limit: number): string =>
  shown < limit ? 'narrow --from and --to' : 'raise --limit or narrow --from and --to';
const longestDetails = 160;
/** Fields about where it happened come after those about what happened: a row does not fit both. */
const plumbing = [
  'session_start',
  'enhanced_recording',
  'recording_head',
  'server_hostname',
  'addr.remote',
  'sid',
  'server_addr',
  'addr.local',
  'server_id',
  'server_labels',
  'received',
];

/** Of a session, the id comes first: `tsh play` takes it. */
const rank = ({ event }: AuditEvent, field: string): number =>
  field === 'sid' && event.startsWith('session.') ? -2 : plumbing.indexOf(field);

export function rowOf(event: AuditEvent): string[] {
  const details = Object.entries(event)
    .filter(([key, value]) => !common.has(key) && value !== undefined && value !== '')
    .sort(([a], [b]) => rank(event, a) - rank(event, b))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  const shown = details.length > longestDetails ? `${details.slice(0, longestDetails)}...` : details;
  return [event.time.replace('T', ' ').replace('Z', ''), event.event, event.code, event.user ?? '', shown];
}
