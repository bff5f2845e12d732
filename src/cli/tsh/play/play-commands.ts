import type { CommandSpec, FlagSpec } from '../../program-spec.ts';
import { recordingFlags } from '../../recordings/recording-flags.ts';

/** The command lines about recorded sessions. @param cluster the flag by which another cluster is named. */
export const playCommandSpecs = (cluster: FlagSpec): readonly CommandSpec[] => [
  {
    name: 'play',
    help: 'Play a recorded session: in this terminal, or written as text, JSON or asciicast',
    flags: [
      cluster,
      {
        name: 'format',
        short: 'f',
        kind: 'value',
        default: 'pty',
        choices: ['pty', 'text', 'json', 'asciicast'],
        help: 'How to play it (pty, text, json, asciicast)',
      },
      { name: 'speed', kind: 'value', default: '1', help: 'How fast: 0.25, 0.5, 1, 1.5, 2, 4, 8, 16, 32' },
      { name: 'keep-idle', kind: 'switch', help: 'Do not shorten pauses of more than a second' },
      {
        name: 'raw',
        kind: 'switch',
        help: 'Also send the terminal what may harm it: titles, clipboard, queries. Only for a session you trust',
      },
    ],
    args: [
      {
        name: 'session-id or file',
        required: true,
        help: 'The id of a session, or a file of tctl recordings export',
      },
    ],
  },
  {
    name: 'recordings ls',
    help: 'List recorded sessions: your own, and those that your roles let you see',
    flags: [
      cluster,
      // `--user` is who is logged in.
      ...recordingFlags.map((flag) => (flag.name === 'user' ? { ...flag, name: 'of-user' } : flag)),
      {
        name: 'format',
        short: 'f',
        kind: 'value',
        default: 'text',
        choices: ['text', 'json'],
        help: 'Output format (text, json)',
      },
    ],
  },
];
