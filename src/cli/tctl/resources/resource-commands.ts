import type { CommandSpec } from '../../args.ts';
import type { Commands } from '../../program.ts';

const dryRun = {
  name: 'dry-run',
  kind: 'switch',
  help: 'Only print what would change.',
} as const;
const resource = (help: string) => ({ name: 'resource', required: true, help });

/** The command lines for resources of all kinds. */
export const resourceCommandSpecs: readonly CommandSpec[] = [
  {
    name: 'create',
    help: 'Create or update resources from a file, YAML or JSON.',
    args: [{ name: 'filename', help: 'The file; - or nothing for standard input.' }],
    flags: [{ name: 'force', short: 'f', kind: 'switch', help: 'Overwrite resources that exist.' }, dryRun],
  },
  {
    name: 'get',
    help: 'Print resources: tctl get roles, tctl get role/admin, tctl get all.',
    args: [resource('Kinds, or kind/name; several with commas; all for everything that a file can restore.')],
    flags: [
      {
        name: 'format',
        kind: 'value',
        choices: ['yaml', 'json', 'text'],
        default: 'yaml',
        help: 'How to print: yaml, json or text.',
      },
      {
        name: 'with-secrets',
        kind: 'switch',
        help: 'With private keys and password hashes, as teleport start --bootstrap restores them. Asks to confirm it word for word, and is recorded.',
      },
      {
        name: 'at',
        kind: 'value',
        help: 'As it was at this time: RFC 3339, or how long ago: 2h, 30m.',
      },
      {
        name: 'history',
        kind: 'switch',
        help: 'Each version of one resource: when, by whom, by which request, and what changed.',
      },
      {
        name: 'limit',
        kind: 'value',
        default: '100',
        help: 'With --history: at most this many versions, the newest.',
      },
    ],
  },
  {
    name: 'rm',
    aliases: ['del'],
    help: 'Delete a resource.',
    args: [resource('Which one: kind/name.')],
    flags: [dryRun],
  },
  {
    name: 'update',
    help: 'Give a resource other labels.',
    args: [resource('Which one: kind/name.')],
    flags: [
      { name: 'set-labels', kind: 'value', help: 'In place of those it has: env=test,team=db; "" for none.' },
      { name: 'set-ttl', kind: 'value', help: 'No kind of this release takes it: the refusal says why.' },
    ],
  },
  {
    name: 'edit',
    help: 'Change a resource in an editor ($VISUAL, $EDITOR, vi).',
    args: [resource('Which one: kind/name.')],
  },
];

export const resourceCommands: Commands = {
  create: async () => (await import('./write.ts')).createResources,
  get: async () => (await import('./get.ts')).getResources,
  rm: async () => (await import('./remove.ts')).removeResource,
  update: async () => (await import('./update.ts')).updateLabels,
  edit: async () => (await import('./edit.ts')).editResource,
};
