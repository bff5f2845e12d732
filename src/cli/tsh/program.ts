import type { CommandSpec, FlagSpec, ProgramSpec } from '../args.ts';
import { playCommandSpecs } from './play/play-commands.ts';

const absent = 'is not available in this release';
const refusedFlag = (name: string, kind: FlagSpec['kind'], why = absent): FlagSpec => ({
  name,
  kind,
  help: '',
  hidden: true,
  refuse: why,
});

const globals: readonly FlagSpec[] = [
  { name: 'login', short: 'l', kind: 'value', env: ['TELEPORT_LOGIN'], help: 'Remote host login' },
  { name: 'proxy', kind: 'value', env: ['TELEPORT_PROXY'], help: 'SSH proxy address: host[:web[,ssh]]' },
  { name: 'user', kind: 'value', env: ['TELEPORT_USER'], help: 'SSH proxy user [local user]' },
  { name: 'ttl', kind: 'value', default: '720', help: 'Minutes to live for a SSH session' },
  { name: 'identity', short: 'i', kind: 'value', help: 'Identity file' },
  { name: 'cert-format', kind: 'value', choices: ['standard', 'oldssh'], help: 'SSH certificate format' },
  {
    name: 'insecure',
    kind: 'switch',
    help: "Do not verify server's certificate and host name. Use only in test environments",
  },
  {
    name: 'auth',
    kind: 'value',
    env: ['TELEPORT_AUTH'],
    help: 'Type of authentication connector to use; only local is available',
  },
  { name: 'skip-version-check', kind: 'switch', help: 'Skip version checking between server and client' },
  {
    name: 'accept-announced',
    kind: 'switch',
    help: 'At a login, accept other hosts and clusters than were typed or known, as the proxy announces them',
  },
  { name: 'debug', short: 'd', kind: 'switch', help: 'Verbose logging to stderr' },
  {
    name: 'use-local-ssh-agent',
    kind: 'switch',
    default: 'true',
    env: ['TELEPORT_USE_LOCAL_SSH_AGENT'],
    help: 'Load generated SSH certificates into the local ssh-agent (specified via $SSH_AUTH_SOCK)',
  },
  {
    name: 'enable-escape-sequences',
    kind: 'switch',
    default: 'true',
    help: 'Enable support for SSH escape sequences. Type ~? during an SSH session to list them',
  },
  { name: 'jumphost', short: 'J', kind: 'value', help: 'SSH jumphost: [user@]host[:port]' },
  {
    name: 'namespace',
    kind: 'value',
    default: 'default',
    choices: ['default'],
    hidden: true,
    help: 'Namespace of the cluster',
  },
  {
    ...refusedFlag('bind-addr', 'value', `${absent}: it belongs to single sign-on`),
    env: ['TELEPORT_LOGIN_BIND_ADDR'],
  },
  refusedFlag('nocache', 'switch'),
  refusedFlag('compat', 'value'),
  refusedFlag('gops', 'switch'),
  refusedFlag('gops-addr', 'value'),
];

const cluster: FlagSpec = {
  name: 'cluster',
  kind: 'value',
  env: ['TELEPORT_CLUSTER', 'TELEPORT_SITE'],
  help: 'Specify the cluster to connect',
};

const ssh: CommandSpec = {
  name: 'ssh',
  help: 'Run shell or execute a command on a remote SSH node',
  stopAtOperand: true,
  flags: [
    { name: 'port', short: 'p', kind: 'value', help: 'SSH port on a remote host' },
    { name: 'forward-agent', short: 'A', kind: 'switch', help: 'Forward agent to target node' },
    {
      name: 'forward',
      short: 'L',
      kind: 'values',
      help: 'Forward localhost connections to remote server: [ip:]port:host:port',
    },
    {
      name: 'dynamic-forward',
      short: 'D',
      kind: 'values',
      help: 'Forward localhost connections to remote server using SOCKS5: [ip:]port',
    },
    { name: 'local', kind: 'switch', help: 'Execute command on localhost after connecting to SSH node' },
    { name: 'tty', short: 't', kind: 'switch', help: 'Allocate TTY' },
    cluster,
    {
      name: 'no-remote-exec',
      short: 'N',
      kind: 'switch',
      help: "Don't execute remote command, useful for port forwarding",
    },
    {
      name: 'option',
      short: 'o',
      kind: 'values',
      help: 'OpenSSH options in the format used in the configuration file',
    },
  ],
  args: [
    {
      name: '[user@]host',
      help: 'Remote hostname, or labels (env=dev), and the login to use',
      required: true,
    },
    { name: 'command', help: 'Command to execute on a remote host', rest: true },
  ],
};

const scp: CommandSpec = {
  name: 'scp',
  help: 'Secure file copy',
  flags: [
    cluster,
    { name: 'recursive', short: 'r', kind: 'switch', help: 'Recursive copy of subdirectories' },
    { name: 'port', short: 'P', kind: 'value', help: 'Port to connect to on the remote host' },
    { name: 'quiet', short: 'q', kind: 'switch', help: 'Quiet mode' },
  ],
  args: [{ name: 'from, to', help: 'Sources and destination: path, or [user@]host:path', rest: true }],
};

const commands: readonly CommandSpec[] = [
  { name: 'version', help: 'Print the version' },
  ssh,
  scp,
  {
    name: 'ls',
    help: 'List remote SSH nodes',
    flags: [
      cluster,
      {
        name: 'verbose',
        short: 'v',
        kind: 'switch',
        help: 'One-line output (for text format), including node UUIDs',
      },
      {
        name: 'format',
        short: 'f',
        kind: 'value',
        default: 'text',
        choices: ['text', 'json', 'names'],
        help: 'Output format (text, json, names)',
      },
    ],
    args: [{ name: 'labels', help: 'List of labels to filter node list: env=dev,role=db' }],
  },
  {
    name: 'sessions ls',
    help: 'List your sessions with a terminal that run now, and those that your roles show you',
    flags: [
      { name: 'node', kind: 'value', help: 'Only on the node of this name or UUID' },
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
  {
    name: 'join',
    help: 'Take part in a session with a terminal that runs: see it, and as a peer type as well',
    flags: [
      cluster,
      {
        name: 'mode',
        short: 'm',
        kind: 'value',
        default: 'peer',
        choices: ['observer', 'peer', 'moderator'],
        help: 'How (observer: only see it; peer: type as well; moderator: see it, and end it with t)',
      },
    ],
    args: [{ name: 'session-id', help: 'The id of the session, from sessions ls', required: true }],
  },
  {
    name: 'clusters',
    help: 'List available Teleport clusters',
    flags: [{ name: 'quiet', short: 'q', kind: 'switch', help: 'Quiet mode' }],
  },
  {
    name: 'login',
    help: 'Log in to a cluster and retrieve the session certificate',
    flags: [
      { name: 'out', short: 'o', kind: 'value', help: 'Identity output' },
      {
        name: 'format',
        kind: 'value',
        default: 'file',
        choices: ['file', 'openssh', 'kubernetes'],
        help: 'Identity format: file, openssh (for OpenSSH compatibility)',
      },
      {
        name: 'request-roles',
        kind: 'value',
        help: 'Request these roles, separated by commas, and wait until somebody approves',
      },
      { name: 'request-reason', kind: 'value', help: 'Why the roles are requested' },
      {
        name: 'request-id',
        kind: 'value',
        help: 'Use requests that were made before, separated by commas, once they are approved',
      },
      refusedFlag('browser', 'value', `${absent}: it belongs to single sign-on`),
      refusedFlag('overwrite', 'switch'),
    ],
    args: [{ name: 'cluster', help: 'Cluster to log in to' }],
  },
  { name: 'logout', help: 'Delete a cluster certificate' },
  { name: 'status', help: 'Display the list of proxy servers and retrieved certificates' },
  { name: 'passwd', help: 'Change your own password' },
  {
    name: 'mfa ls',
    help: 'List your own code device',
    flags: [
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
  {
    name: 'mfa add',
    help: 'Set up a new code device in place of the one you have',
  },
  {
    name: 'mfa rm',
    help: '',
    hidden: true,
    refuse:
      'is not there: tsh mfa add replaces a device; where it is lost, an operator resets you (tctl users reset)',
    args: [{ name: 'name', help: '', rest: true }],
  },
  {
    name: 'config',
    help: 'Print an ssh_config block: ssh and scp of OpenSSH then reach the nodes as <node>.<cluster>',
    flags: [
      cluster,
      {
        name: 'refresh',
        kind: 'switch',
        help: 'Print nothing of it: only learn the keys of the cluster, so that ssh follows a rotation',
      },
    ],
  },
  {
    name: 'proxy ssh',
    help: 'Be the connection to a node, for a ProxyCommand of OpenSSH: tsh proxy ssh %h:%p',
    flags: [cluster],
    args: [{ name: '[user@]host:port', help: 'Remote hostname and port', required: true }],
  },
  {
    name: 'env',
    help: 'Print commands to set Teleport session environment variables',
    flags: [
      {
        name: 'unset',
        kind: 'switch',
        help: 'Print commands to clear Teleport session environment variables',
      },
    ],
  },
  ...playCommandSpecs(cluster),
  ...['bench', 'show', 'kube', 'agent', 'request', 'requests'].map((name): CommandSpec => ({
    name,
    help: '',
    refuse: absent,
    hidden: true,
    stopAtOperand: true,
    args: [{ name: 'args', help: '', rest: true }],
  })),
];

export const tshProgram: ProgramSpec = {
  name: 'tsh',
  help: 'TSH: Teleport SSH client',
  flags: globals,
  commands,
};
