import type { CommandSpec, FlagSpec, ProgramSpec } from '../args.ts';

const startFlags: readonly FlagSpec[] = [
  { name: 'debug', short: 'd', kind: 'switch', help: 'Verbose log on standard error.' },
  { name: 'insecure-no-tls', kind: 'switch', help: 'The web port speaks plain HTTP (a balancer ends TLS).' },
  { name: 'roles', short: 'r', kind: 'value', help: 'Comma separated roles [proxy,node,auth].' },
  { name: 'pid-file', kind: 'value', help: 'Where to write the process id.' },
  { name: 'advertise-ip', kind: 'value', help: 'Address that this machine announces to the cluster.' },
  { name: 'listen-ip', short: 'l', kind: 'value', help: 'Address that every listener binds to [0.0.0.0].' },
  {
    name: 'auth-server',
    kind: 'values',
    help: 'Address of an auth server to join, repeatable [127.0.0.1:3025]; the auth role is off then.',
  },
  {
    name: 'token',
    kind: 'value',
    help: 'Token to join the cluster with, or the path of a file that holds it.',
  },
  {
    name: 'ca-pin',
    kind: 'values',
    help: 'CA pin that the cluster must have (sha256:…), repeatable or comma separated.',
  },
  {
    name: 'leave-cluster',
    kind: 'values',
    help: 'CA pin of the cluster that this machine gives up, where its store holds none or another one.',
  },
  { name: 'nodename', kind: 'value', help: 'Name of this machine in the cluster [hostname].' },
  { name: 'config', short: 'c', kind: 'value', help: 'Configuration file [/etc/teleport.yaml].' },
  {
    name: 'config-string',
    kind: 'value',
    hidden: true,
    help: 'base64 of a configuration, instead of the file.',
  },
  {
    name: 'bootstrap',
    kind: 'value',
    help: 'A file of "tctl get all" to restore into an empty store; a store with a cluster is left as it is.',
  },
  { name: 'labels', kind: 'value', help: 'Labels of this node: k=v,k2="v 2",name=[1h:/bin/cmd -a].' },
  { name: 'diag-addr', kind: 'value', help: 'Address for /healthz, /readyz and /metrics.' },
  { name: 'permit-user-env', kind: 'switch', help: 'Read ~/.tsh/environment when a session starts.' },
  {
    name: 'insecure',
    kind: 'switch',
    help: 'The web port takes plain HTTP beside TLS (a balancer ends TLS).',
  },
  { name: 'fips', kind: 'switch', help: '', refuse: 'is not in this release' },
];

const hidden = (name: string, help: string): CommandSpec => ({
  name,
  help,
  hidden: true,
  args: [{ name: 'args', rest: true, help: 'as the protocol gives them' }],
});

/** The command lines of teleport. */
export const teleportProgram: ProgramSpec = {
  name: 'teleport',
  help: 'The daemon of the cluster.',
  flags: [],
  commands: [
    { name: 'start', help: 'Start the services of this machine.', flags: startFlags },
    { name: 'status', help: 'Print the session this shell runs in.' },
    { name: 'configure', help: 'Print a sample configuration file.' },
    { name: 'version', help: 'Print the version.' },
    hidden('scp', 'Serves a file copy; started by the node.'),
    hidden('sftp-server', 'Serves the sftp subsystem; started by the node.'),
    hidden('look-up-names', 'Looks up names; started by the daemon.'),
  ],
};
