import type { CommandSpec } from '../../args.ts';
import type { Commands } from '../../program.ts';
import { recordingFlags } from '../../recordings/recording-flags.ts';
import { formatFlag as format } from '../format-flag.ts';

const sid = { name: 'session-id', required: true, help: 'The id of the session.' } as const;

/** The command lines about recordings of sessions. */
export const recordingCommandSpecs: readonly CommandSpec[] = [
  { name: 'recordings ls', help: 'List recorded sessions.', flags: [...recordingFlags, format] },
  {
    name: 'recordings export',
    help: 'Write a recording to a file, with its key: tsh play and tctl recordings verify read it anywhere.',
    args: [sid, { name: 'file', required: true, help: 'The file to make.' }],
  },
  {
    name: 'recordings verify',
    help: 'Check a recording chunk by chunk: of the cluster, or in an exported file without it.',
    args: [
      {
        name: 'session-id or file',
        required: true,
        help: 'The id of a session, or a file of recordings export.',
      },
    ],
    flags: [
      {
        name: 'head',
        kind: 'value',
        help: 'With a file: what session.end has as recording_head; the chain must lead there.',
      },
      format,
    ],
  },
  {
    name: 'recordings search',
    help: 'Look for a text in the output of recorded sessions. Each session that is read is played, for the audit.',
    args: [{ name: 'text', required: true, help: 'In upper or lower case.' }],
    flags: [...recordingFlags, format],
  },
  {
    name: 'recordings erase',
    help: 'Destroy the key of a recording, for good: nobody can play it, and it still proves what it was.',
    args: [sid],
    flags: [
      { name: 'reason', kind: 'value', help: 'Why: the audit has it.' },
      { name: 'yes', short: 'y', kind: 'switch', help: 'Do not ask.' },
    ],
  },
];

export const recordingCommands: Commands = {
  'recordings ls': async () => (await import('./recordings.ts')).listRecorded,
  'recordings erase': async () => (await import('./recordings.ts')).eraseRecorded,
  'recordings export': async () => (await import('./recordings-export.ts')).exportRecorded,
  'recordings verify': async () => (await import('./recordings-verify.ts')).verifyRecorded,
  'recordings search': async () => (await import('./recordings-search.ts')).searchRecorded,
};
