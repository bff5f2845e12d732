import type { CommandSpec } from '../../args.ts';
import type { Commands } from '../../program.ts';
import { formatFlag as format } from '../format-flag.ts';

/** The command lines that ask who may enter which node, and why. */
export const accessCommandSpecs: readonly CommandSpec[] = [
  {
    name: 'access explain',
    help: 'Say whether a user may enter a node, by which role, and what would have to change.',
    args: [
      { name: 'user', required: true, help: 'Name of the user.' },
      {
        name: 'node',
        required: true,
        help: '[login@]node, by name or UUID [every login that a role names].',
      },
    ],
    flags: [format],
  },
  {
    name: 'access ls',
    help: 'List who may enter which nodes as which login.',
    flags: [
      { name: 'user', kind: 'value', help: 'Only this user.' },
      { name: 'node', kind: 'value', help: 'Only this node, by name or UUID.' },
      { name: 'role', kind: 'value', help: 'Only what this role allows.' },
      format,
    ],
  },
  {
    name: 'access test',
    help: 'Compare a file of expectations with the roles; the exit status is 1 when one is not met.',
    args: [{ name: 'filename', required: true, help: 'The file, YAML or JSON; - for standard input.' }],
    flags: [
      {
        name: 'roles',
        kind: 'value',
        help: 'A file of roles: test as if these had been written.',
      },
    ],
  },
];

export const accessCommands: Commands = {
  'access explain': async () => (await import('./explain.ts')).explain,
  'access ls': async () => (await import('./list.ts')).list,
  'access test': async () => (await import('./test-expectations.ts')).testExpectations,
};
