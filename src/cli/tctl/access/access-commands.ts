import type { CommandSpec } from '../../args.ts';
import type { Commands } from '../../program.ts';
import { formatFlag as format } from '../format-flag.ts';

const at = {
  name: 'at',
  kind: 'value',
  help: 'As it was at this time: RFC 3339, or how long ago: 2h, 30m.',
} as const;

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
    flags: [at, format],
  },
  {
    name: 'access ls',
    help: 'List who may enter which nodes as which login.',
    flags: [
      { name: 'user', kind: 'value', help: 'Only this user.' },
      { name: 'node', kind: 'value', help: 'Only this node, by name or UUID.' },
      { name: 'role', kind: 'value', help: 'Only what this role allows.' },
      at,
      format,
    ],
  },
  {
    name: 'access diff',
    help: 'List who gained and who lost which logins between two times, and by which change.',
    args: [
      { name: 'from', required: true, help: 'A time: RFC 3339, or how long ago: 2h, 30m.' },
      { name: 'to', help: 'A later one [now].' },
    ],
    flags: [
      { name: 'user', kind: 'value', help: 'Only this user.' },
      { name: 'node', kind: 'value', help: 'Only this node, by name or UUID.' },
      format,
    ],
  },
  {
    name: 'access blame',
    help: 'Say which changes grant a user a login on a node, or which one took it away.',
    args: [
      { name: 'user', required: true, help: 'Name of the user.' },
      { name: 'node', required: true, help: 'login@node, by name or UUID.' },
    ],
    flags: [format],
  },
  {
    name: 'access replay',
    help: 'List past sessions that a file of roles would refuse, and refusals that it would let in.',
    flags: [
      { name: 'roles', kind: 'value', help: 'The file of roles: as if these had been written.' },
      { name: 'from', kind: 'value', help: 'Since this time: RFC 3339, or how long ago: 24h.' },
      { name: 'to', kind: 'value', help: 'Until this time [now].' },
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
  'access diff': async () => (await import('./diff.ts')).diff,
  'access blame': async () => (await import('./blame.ts')).blame,
  'access replay': async () => (await import('./replay.ts')).replay,
  'access test': async () => (await import('./test-expectations.ts')).testExpectations,
};
