import type { CommandSpec } from '../../args.ts';
import type { Commands } from '../../program.ts';
import { formatFlag as format } from '../format-flag.ts';

/** Source: reference 4.4, cli §2.6: each also as `request …`. */
const spec = (name: string, rest: Omit<CommandSpec, 'name' | 'aliases'>): CommandSpec => ({
  name: `requests ${name}`,
  aliases: [`request ${name}`],
  ...rest,
});

const ids = [{ name: 'request-id', required: true, help: 'Comma separated ids.' }] as const;
const resolving = [
  { name: 'delegator', kind: 'value', help: 'On whose behalf it is resolved.' },
  { name: 'reason', kind: 'value', help: 'Why: whoever requested is told.' },
  { name: 'annotations', kind: 'value', help: 'Comma separated key=value.' },
] as const;

/** The command lines about access requests. */
export const requestCommandSpecs: readonly CommandSpec[] = [
  spec('ls', { help: 'List the access requests that have not expired.', flags: [format] }),
  spec('get', { help: 'Show access requests with all that is known of them.', args: ids, flags: [format] }),
  spec('approve', {
    help: 'Approve access requests. Nobody approves their own.',
    args: ids,
    flags: [
      ...resolving,
      { name: 'roles', kind: 'value', help: 'Grant only these of the requested roles, comma separated.' },
    ],
  }),
  spec('deny', { help: 'Deny access requests.', args: ids, flags: resolving }),
  spec('create', {
    help: 'Make an access request for a user.',
    args: [{ name: 'username', required: true, help: 'Who is to have the roles.' }],
    flags: [
      { name: 'roles', kind: 'value', required: true, help: 'Comma separated roles.' },
      { name: 'reason', kind: 'value', help: 'Why.' },
      { name: 'dry-run', kind: 'switch', help: 'Make no request: only show what it would be.' },
    ],
  }),
  spec('rm', {
    help: 'Remove access requests: what they granted ends.',
    args: ids,
  }),
];

export const requestCommands: Commands = {
  'requests ls': async () => (await import('./requests.ts')).listRequests,
  'requests get': async () => (await import('./requests.ts')).getRequests,
  'requests approve': async () => (await import('./requests.ts')).approveRequests,
  'requests deny': async () => (await import('./requests.ts')).denyRequests,
  'requests create': async () => (await import('./requests.ts')).createRequest,
  'requests rm': async () => (await import('./requests.ts')).removeRequests,
};
