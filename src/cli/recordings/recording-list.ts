import type { z } from 'zod';
import type { ListedRecording, listRecordings } from '../../api/operations/recording.ts';
import { msBetween } from '../../base/time.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatGoDuration, parseMoment, parseNumber } from '../duration.ts';
import { formatTable } from '../table.ts';
import { wholeSeconds } from '../whole-seconds.ts';

/**
 * What `recordingFlags` ask for. @param user where the flag `--user` means something else; else the flag.
 * @throws CodedError `bad_request` naming a flag.
 */
export function recordingQuery(
  invocation: Invocation,
  io: CliIo,
  userFlag = 'user',
): z.output<typeof listRecordings.input> {
  const now = io.world.now();
  const to = invocation.text('to');
  return {
    from: parseMoment(invocation.text('from') ?? '24h', now, '--from'),
    to: to === undefined ? now : parseMoment(to, now, '--to'),
    user: invocation.text(userFlag) ?? '',
    node: invocation.text('node') ?? '',
    limit: parseNumber(invocation.text('limit') ?? '', { min: 1, max: 5_000 }, '--limit'),
  };
}

const titles = ['Session ID', 'User', 'Login', 'Node', 'Started (UTC)', 'Length', 'Output', 'Status'];

export function recordingTable(recordings: readonly ListedRecording[]): string {
  return recordings.length === 0 ? 'No recordings found\n' : formatTable(titles, recordings.map(rowOf));
}

const rowOf = (one: ListedRecording): string[] => [
  one.sid,
  one.user,
  one.login,
  one.hostname === '' ? one.hostId : one.hostname,
  wholeSeconds(one.startedAt).replace('T', ' ').replace('Z', ''),
  one.endedAt === undefined ? '' : lengthOf(one.startedAt, one.endedAt),
  one.bytes === undefined ? '' : String(one.bytes),
  (one.lostBytes ?? 0) > 0 ? `${one.status}, ${one.lostBytes} bytes lost` : one.status,
];

const lengthOf = (from: string, to: string): string =>
  formatGoDuration(Math.max(0, Math.round(msBetween(from, to) / 1_000)) * 1_000);

/** A JSON object on a line for each. */
export const recordingLines = (recordings: readonly ListedRecording[]): string =>
  recordings.map((one) => `${JSON.stringify(one)}\n`).join('');

/** For standard error. */
export const truncatedText = (shown: number): string =>
  `Only the newest ${shown} are shown: raise --limit or narrow --from and --to.\n`;
