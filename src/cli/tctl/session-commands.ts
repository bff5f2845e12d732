import type { CommandSpec } from '../args.ts';
import type { Commands } from '../program.ts';
import { formatFlag as format } from './format-flag.ts';

/** The command lines about sessions that run now. */
export const sessionCommandSpecs: readonly CommandSpec[] = [
  {
    name: 'sessions ls',
    help: 'List the sessions with a terminal that run now.',
    flags: [
      { name: 'user', kind: 'value', help: 'Only of this user.' },
      { name: 'node', kind: 'value', help: 'Only on the node of this name or UUID.' },
      format,
    ],
  },
  {
    name: 'sessions end',
    help: 'End a session that runs now.',
    args: [{ name: 'session-id', required: true, help: 'Its id as sessions ls prints it.' }],
    flags: [{ name: 'message', kind: 'value', help: 'What the person is told.' }],
  },
];

export const sessionCommands: Commands = {
  'sessions ls': async () => (await import('./sessions.ts')).listSessions,
  'sessions end': async () => (await import('./sessions.ts')).endSession,
};
