import type { CommandSpec } from '../../args.ts';

/** The command line of `tctl auth rotate`. */
export const rotateCommandSpec: CommandSpec = {
  name: 'auth rotate',
  help: 'Rotate the keys of the authorities: start a rotation, take a step of it, report how far hosts follow.',
  flags: [
    {
      name: 'grace-period',
      kind: 'value',
      default: '30h',
      help: 'How long the old keys stay trusted; 0, with --force, withdraws them at once.',
    },
    { name: 'manual', kind: 'switch', help: 'Take no step by itself: each follows by --phase.' },
    {
      name: 'type',
      kind: 'value',
      choices: ['user', 'host'],
      help: 'Which authority: user or host [both].',
    },
    {
      name: 'phase',
      kind: 'value',
      choices: ['init', 'standby', 'update_clients', 'update_servers', 'rollback'],
      help: 'Take the step to this phase now; rollback goes back to the old keys, and standby ends it.',
    },
    {
      name: 'wait',
      kind: 'value',
      default: '30s',
      help: 'How long to wait for hosts that have not adopted a phase, before a step and after it.',
    },
    {
      name: 'force',
      kind: 'switch',
      help: 'Take the step although hosts lack the phase before: they are left behind.',
    },
    { name: 'dry-run', kind: 'switch', help: 'Report what the step would do, and to whom; change nothing.' },
    {
      name: 'end-sessions',
      kind: 'switch',
      help: 'At the start, or with --phase=standby: end the sessions that began under the key that is withdrawn, with it.',
    },
    { name: 'status', kind: 'switch', help: 'Report where rotations stand, and which hosts lack what.' },
    {
      name: 'format',
      kind: 'value',
      choices: ['text', 'json'],
      default: 'text',
      help: 'How to print what --status reports: text or json.',
    },
  ],
};
