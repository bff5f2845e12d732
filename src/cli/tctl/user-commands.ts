import type { CommandSpec } from '../args.ts';
import type { Commands } from '../program.ts';
import { formatFlag as format } from './format-flag.ts';

/** The command lines about people. */
export const userCommandSpecs: readonly CommandSpec[] = [
  {
    name: 'users add',
    help: 'Generate a user invitation link.',
    args: [
      { name: 'account', required: true, help: 'Name of the user.' },
      { name: 'local-logins', help: 'Comma separated logins the user may use [its own name].' },
    ],
    flags: [
      { name: 'roles', kind: 'value', default: 'admin', help: 'Comma separated roles of the user.' },
      { name: 'k8s-users', kind: 'value', help: 'Kubernetes users to assign.' },
      { name: 'k8s-groups', kind: 'value', help: 'Kubernetes groups to assign.' },
      { name: 'ttl', kind: 'value', default: '1h', help: 'How long the link works, at most 48h.' },
      {
        name: 'no-password',
        kind: 'switch',
        help: 'Make no link: the user gets certificates by tctl auth sign alone, until users reset.',
      },
      format,
    ],
  },
  { name: 'users ls', help: 'List users.', flags: [format] },
  {
    name: 'users update',
    help: 'Change roles, logins or traits of a user.',
    args: [{ name: 'account', required: true, help: 'Name of the user.' }],
    flags: [
      { name: 'set-roles', kind: 'value', help: 'Comma separated roles, in place of those it has.' },
      { name: 'set-logins', kind: 'value', help: 'Comma separated logins, in place of those it has.' },
      {
        name: 'set-traits',
        kind: 'values',
        help: 'A trait and its values, department=dev,ops, for {{external.department}} in roles; department= takes it away; repeatable.',
      },
    ],
  },
  {
    name: 'users rm',
    aliases: ['users del'],
    help: 'Delete users.',
    args: [{ name: 'logins', required: true, help: 'Comma separated names.' }],
  },
  {
    name: 'users unlock',
    help: 'Let a user log in again that failed logins have locked.',
    args: [{ name: 'account', required: true, help: 'Name of the user.' }],
  },
  {
    name: 'users reset',
    help: 'Reset the password of a user and generate a link to set a new one.',
    args: [{ name: 'account', required: true, help: 'Name of the user.' }],
    flags: [
      { name: 'ttl', kind: 'value', default: '8h', help: 'How long the link works, at most 24h.' },
      format,
    ],
  },
];

export const userCommands: Commands = {
  'users add': async () => (await import('./add-user.ts')).addUser,
  'users ls': async () => (await import('./list-users.ts')).listUsers,
  'users update': async () => (await import('./update-user.ts')).updateUser,
  'users rm': async () => (await import('./users.ts')).removeUsers,
  'users unlock': async () => (await import('./users.ts')).unlockUser,
  'users reset': async () => (await import('./users.ts')).resetUser,
};
