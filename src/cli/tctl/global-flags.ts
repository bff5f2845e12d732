import type { FlagSpec } from '../args.ts';

/** Flags of every command of tctl. */
export const globalFlags: readonly FlagSpec[] = [
  { name: 'debug', short: 'd', kind: 'switch', help: 'Show the whole error when a command fails.' },
  { name: 'config', short: 'c', kind: 'value', help: 'Configuration file [/etc/teleport.yaml].' },
  { name: 'config-string', kind: 'value', hidden: true, help: 'base64 of a configuration.' },
  {
    name: 'auth-server',
    kind: 'values',
    help: 'Address of the auth server [127.0.0.1:3025 or what the configuration says].',
  },
  {
    name: 'identity',
    short: 'i',
    kind: 'value',
    help: 'Identity file of tctl auth sign: from any machine, at an auth server or through a proxy.',
  },
  {
    name: 'proxy',
    kind: 'value',
    env: ['TELEPORT_PROXY'],
    help: 'Act as the person who logged in at this proxy with tsh login [the last one, on a machine without an auth server].',
  },
  {
    name: 'insecure',
    kind: 'switch',
    help: 'With -i, through a proxy: do not verify its web certificate. Its SSH and the auth server always are.',
  },
];
