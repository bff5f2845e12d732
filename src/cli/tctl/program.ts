import type { CommandSpec, FlagSpec, ProgramSpec } from '../args.ts';
import { accessCommandSpecs } from './access/access-commands.ts';
import { authCommandSpecs } from './auth/auth-commands.ts';
import { globalFlags } from './global-flags.ts';
import { recordingCommandSpecs } from './recordings/recording-commands.ts';
import { requestCommandSpecs } from './requests/request-commands.ts';
import { resourceCommandSpecs } from './resources/resource-commands.ts';
import { lockCommands } from './lock-commands.ts';
import { sessionCommandSpecs } from './session-commands.ts';
import { userCommandSpecs } from './user-commands.ts';
import { formatFlag as format, formatWithYaml } from './format-flag.ts';
import { inventoryCommandSpecs } from './inventory-commands.ts';

const notYet = 'is not in this release';

const uses: FlagSpec = {
  name: 'uses',
  kind: 'value',
  help: 'How often the token can be used, a machine once for each role [any number until it expires].',
};

const names: FlagSpec = {
  name: 'names',
  kind: 'value',
  help: 'Comma separated patterns of what its machines may be called, * for any characters but a dot: web-* [any name].',
};

const withStoreKeys: FlagSpec = {
  name: 'with-store-keys',
  kind: 'switch',
  help: 'Copy keys that are in the store itself too: the new store alone opens every secret then.',
};

const refused = (name: string, why = notYet): CommandSpec => ({ name, help: '', hidden: true, refuse: why });

/** The command lines of tctl. */
export const tctlProgram: ProgramSpec = {
  name: 'tctl',
  help: 'Admin tool for the cluster. Runs on the machine of the auth server, or anywhere after tsh login or with an identity file.',
  flags: globalFlags,
  commands: [
    { name: 'status', help: 'Report cluster status.' },
    ...userCommandSpecs,
    ...lockCommands(format),
    ...sessionCommandSpecs,
    {
      name: 'nodes add',
      help: 'Generate a token, and the command by which a machine joins with it.',
      flags: [
        { name: 'roles', kind: 'value', default: 'node', help: 'Comma separated: node, proxy.' },
        {
          name: 'ttl',
          kind: 'value',
          default: '30m',
          help: 'How long the token works, from 1m to 48h.',
        },
        uses,
        names,
        { name: 'token', kind: 'value', hidden: true, help: '' },
        format,
      ],
    },
    {
      name: 'tokens add',
      help: 'Generate a token by which machines join.',
      flags: [
        {
          name: 'type',
          kind: 'value',
          required: true,
          help: 'What it admits to: node, proxy, or both; or trusted_cluster.',
        },
        {
          name: 'value',
          kind: 'value',
          help: 'The token itself, at least 16 characters [a random one].',
        },
        { name: 'ttl', kind: 'value', default: '1h', help: 'How long the token works, from 1m to 48h.' },
        uses,
        names,
        format,
      ],
    },
    { name: 'tokens ls', help: 'List the tokens by which machines can join.', flags: [format] },
    {
      name: 'tokens rm',
      aliases: ['tokens del'],
      help: 'Delete a token. Machines that joined with it stay.',
      args: [{ name: 'token', help: 'Its id as tokens ls prints it, or the token itself.' }],
    },
    {
      name: 'nodes ls',
      help: 'List SSH nodes.',
      flags: [
        formatWithYaml,
        {
          name: 'namespace',
          kind: 'value',
          hidden: true,
          choices: ['default'],
          default: 'default',
          help: '',
        },
      ],
    },
    {
      name: 'nodes rm',
      help: 'Forget a machine that is gone: others can have its name at once.',
      args: [{ name: 'id', required: true, help: 'Its UUID as nodes ls prints it.' }],
    },
    {
      name: 'events ls',
      help: 'List what people and sessions did.',
      flags: [
        { name: 'from', kind: 'value', default: '24h', help: 'RFC 3339 time, or how long ago: 2h, 30m.' },
        { name: 'to', kind: 'value', help: 'RFC 3339 time, or how long ago [now].' },
        { name: 'type', kind: 'values', help: 'Only this type, for example session.start; repeatable.' },
        { name: 'user', kind: 'value', help: 'Only events of this user.' },
        { name: 'node', kind: 'value', help: 'Only events of this machine: its name or id.' },
        { name: 'limit', kind: 'value', default: '500', help: 'At most this many, the newest.' },
        format,
      ],
    },
    {
      name: 'doctor',
      help: 'Show what a browser, tsh and a node would find at a proxy or a balancer, from this machine.',
      args: [{ name: 'address', required: true, help: 'Its web address, host:port.' }],
      flags: [format],
    },
    {
      name: 'log tail',
      help: 'Print the events of the log. Secrets are never shown.',
      flags: [
        { name: 'follow', kind: 'switch', help: 'Go on with what is appended.' },
        { name: 'stream', kind: 'value', help: 'Only this stream, for example user-alice.' },
        {
          name: 'partition',
          kind: 'value',
          choices: ['state', 'presence', 'audit', 'attempts'],
          default: 'state',
          help: 'Which partition.',
        },
        format,
      ],
    },
    {
      name: 'log info',
      help: 'Report the state of the log: store, partitions, snapshots, signed heads, witnesses.',
      flags: [format, { name: 'offline', kind: 'switch', help: 'Read the store, ask no auth server.' }],
    },
    {
      name: 'log verify',
      help: 'Check every batch of the log, offline: chain, numbers, digests, signed heads. Names what is bad.',
      args: [
        { name: 'directory', help: 'Storage directory or exported file [the store of the configuration].' },
      ],
      flags: [
        {
          name: 'witness',
          kind: 'values',
          help: 'Signed heads kept elsewhere: file or address; repeatable [files of the configuration].',
        },
        {
          name: 'public-key',
          kind: 'values',
          help: 'Trust only this key: ed25519:… or a file that holds it [the key on the log].',
        },
        {
          name: 'archive',
          kind: 'value',
          help: 'Where the audit goes: file:///path or s3://bucket/prefix [audit_archive of the configuration].',
        },
        {
          name: 'recordings',
          kind: 'switch',
          help: 'Compare the recordings of sessions with what the log says of them, chunk by chunk.',
        },
        {
          name: 'recordings-at',
          kind: 'value',
          help: 'Where these are: file:///path or s3://bucket/prefix [audit_sessions_uri of the configuration].',
        },
      ],
    },
    {
      name: 'log move',
      help: 'Move the log to an empty store while the cluster runs. Prints first what it will do, and asks.',
      flags: [
        { name: 'to', kind: 'value', help: 'Where to: dir:/path, or a file with a storage: section.' },
        { name: 'dry-run', kind: 'switch', help: 'Only look at both stores, and report what would be done.' },
        { name: 'yes', short: 'y', kind: 'switch', help: 'Do not ask.' },
        withStoreKeys,
        {
          name: 'take-back',
          kind: 'switch',
          help: 'The log goes on where it was: after a move that did not end, or while nothing was written at the new store.',
        },
        { name: 'force', kind: 'switch', help: 'With --take-back: the new store is lost, do not ask it.' },
      ],
    },
    {
      name: 'log copy',
      help: 'Make a copy of the log while the cluster goes on here: a backup to be read, or brought up to date by the same command.',
      flags: [
        {
          name: 'to',
          kind: 'value',
          required: true,
          help: 'Where to: dir:/path, or a file with a storage: section.',
        },
        withStoreKeys,
      ],
    },
    {
      name: 'log promote',
      help: 'Make the copy in the store of the configuration the log of a living cluster. Prints first what it will do, and asks.',
      flags: [{ name: 'yes', short: 'y', kind: 'switch', help: 'Do not ask.' }],
    },
    {
      name: 'log recover',
      help: 'After the store was put back to an earlier state: report what is known, give it back, or go on without it.',
      flags: [
        { name: 'give-back', kind: 'switch', help: 'Give the store back what the auth server still knows.' },
        { name: 'go-on', kind: 'switch', help: 'Go on from what the store has: the rest is lost.' },
        { name: 'offline', kind: 'switch', help: 'No auth server runs: by what this machine wrote down.' },
      ],
    },
    {
      name: 'log rekey',
      help: 'Make a new key for the secrets on the log and put all of them under it, while the cluster runs.',
      flags: [
        { name: 'dry-run', kind: 'switch', help: 'Only report which keys the secrets are sealed under.' },
        { name: 'prepare', kind: 'switch', help: 'Only add a key to the keyring file, to be copied first.' },
        { name: 'use', kind: 'value', help: 'Seal under this key of the keyring file from now on.' },
        {
          name: 'remove-old',
          kind: 'switch',
          help: 'Make no key; remove those that no secret is sealed under.',
        },
        {
          name: 'orphans',
          kind: 'value',
          choices: ['report', 'remove', 'skip'],
          default: 'report',
          help: 'Data keys older than a day that no event refers to: report, remove, or do not look.',
        },
      ],
    },
    {
      name: 'log export',
      help: 'Write the log to one file, beside the running cluster.',
      args: [{ name: 'file', required: true, help: 'The file to make.' }],
      flags: [
        {
          name: 'with-secrets',
          kind: 'switch',
          help: 'With the wrapped keys of its secrets: needed to bring a cluster back.',
        },
        {
          name: 'with-store-keys',
          kind: 'switch',
          help: 'With --with-secrets: include keys that are in the store itself. The file alone is the cluster then.',
        },
      ],
    },
    {
      name: 'log import',
      help: 'Put an exported log into the store of the configuration: all of it, or what the store lacks.',
      args: [{ name: 'file', required: true, help: 'The file that was exported.' }],
      flags: [
        {
          name: 'to',
          kind: 'value',
          help: 'Where to: dir:/path, or a file with a storage: section [the configuration].',
        },
        {
          name: 'leave-cluster',
          kind: 'values',
          help: 'CA pin of the cluster that this machine gives up for the imported one.',
        },
      ],
    },
    ...authCommandSpecs,
    ...resourceCommandSpecs,
    ...accessCommandSpecs,
    ...inventoryCommandSpecs,
    ...requestCommandSpecs,
    ...recordingCommandSpecs,
    { name: 'version', help: 'Print the version.' },
    ...['update', 'top'].map((name) => refused(name)),
  ],
};
