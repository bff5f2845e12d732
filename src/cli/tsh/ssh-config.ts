import { CodedError } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import { shellQuote } from '../../base/shell-quote.ts';

/** What the block is about. */
export interface SshConfig {
  readonly clusterName: string;
  readonly proxyHost: string;
  readonly ssh: HostPort;
  /** The name to log in to the proxy with: a principal of the certificate. */
  readonly proxyLogin: string;
  readonly knownHostsFile: string;
  readonly identityFile: string;
  readonly certificateFile: string;
  /**
   * Where stock ssh cannot reach the proxy's SSH port by itself: who goes there for it. Undefined: it can.
   */
  readonly tsh?: TshCall | undefined;
}

/** How `tsh proxy ssh` is called. */
export interface TshCall {
  /** A path, or a name on the PATH. */
  readonly program: string;
  /** `host:port`, as `--proxy` takes it. */
  readonly proxy: string;
  readonly user: string;
  /** `TSH_HOME`, where it is set. */
  readonly home: string | undefined;
}

/** The port of nodes unless they are configured otherwise. */
export const nodePort = 3022;

/**
 * A value for ssh_config in double quotes, for a keyword that expands `%` tokens.
 * @throws CodedError `bad_request` for a path that cannot be written there. Source: ssh_config(5).
 */
export function configQuote(path: string): string {
  if (/["\\\u0000-\u001f\u007f]|\$\{/.test(path))
    throw new CodedError(
      'bad_request',
      `${JSON.stringify(path)} cannot be written into an ssh_config: set TSH_HOME to another folder`,
    );
  return `"${path.replaceAll('%', '%%')}"`;
}

/**
 * Host names to which the block for the nodes does not apply. ssh before 9.6 puts any name that was typed (or
 * that a link or a submodule brought) into the ProxyCommand, where a shell reads it (CVE-2023-51385). It is
 * in single quotes there: the characters that end these, or have a meaning within them to sh, bash, zsh, fish
 * or csh, are a quote, a backslash and an exclamation mark. ssh has supported double quotes around a pattern
 * since long before 7.2.
 */
const unquotable = `"!*'*" "!*\\*" "!*!*"`;

/**
 * The command that connects to `%h:%p`. It is self-contained: it reads no configuration file, so that it
 * works wherever the block is put. The node's name is `%h` without the cluster's. The port that the block
 * gives to all nodes means any port that a node listens on.
 */
function proxyCommand(config: SshConfig): string {
  const script =
    `h=$1 p=$2 c=$3; shift 3; [ "$p" = ${nodePort} ] && p=0; ` +
    `exec ssh "$@" "proxy:\${h%".$c"}:$p@default@$c"`;
  const options = [
    ...['-F', 'none', '-p', String(config.ssh.port), '-l', config.proxyLogin],
    ...['-o', `UserKnownHostsFile=${configQuote(config.knownHostsFile)}`],
    ...['-o', `IdentityFile=${configQuote(config.identityFile)}`],
    ...['-o', `CertificateFile=${configQuote(config.certificateFile)}`],
    ...['-o', 'IdentitiesOnly=yes', '-o', 'StrictHostKeyChecking=yes'],
    ...['-s', config.ssh.host],
  ];
  const fixed = [config.clusterName, ...options].map((word) => shellQuote(word).replaceAll('%', '%%'));
  return `sh -c ${shellQuote(script).replaceAll('%', '%%')} sh '%h' '%p' ${fixed.join(' ')}`;
}

/** The same by tsh: it finds the way to the proxy, and knows the login. */
function tshCommand({ program, proxy, user, home }: TshCall, clusterName: string): string {
  const environment = home === undefined ? [] : ['env', `TSH_HOME=${home}`];
  const call = [program, 'proxy', 'ssh', `--proxy=${proxy}`, `--user=${user}`, `--cluster=${clusterName}`];
  const fixed = [...environment, ...call].map((word) => shellQuote(word).replaceAll('%', '%%'));
  return `${fixed.join(' ')} '%h:%p'`;
}

/**
 * A block for `~/.ssh/config`: `ssh login@node.cluster` then goes through the proxy, with certificates both
 * ways.
 */
export function formatSshConfig(config: SshConfig): string {
  const proxies = [...new Set([config.proxyHost, config.ssh.host])].map(hostPattern);
  const nodes = `*.${hostPattern(config.clusterName)}`;
  return `# Begin generated Teleport configuration for ${config.proxyHost} by tsh

# All hosts of the cluster ${config.clusterName}, and its proxy
Host ${[nodes, ...proxies].join(' ')}
    UserKnownHostsFile ${configQuote(config.knownHostsFile)}
    IdentityFile ${configQuote(config.identityFile)}
    CertificateFile ${configQuote(config.certificateFile)}
    IdentitiesOnly yes

${config.tsh === undefined ? proxyBlock(config, proxies) : ''}# The nodes, as <name>.${config.clusterName}
Host ${[nodes, ...proxies.map((p) => `!${p}`)].join(' ')} ${unquotable}
    Port ${nodePort}
    ProxyCommand ${config.tsh === undefined ? proxyCommand(config) : tshCommand(config.tsh, config.clusterName)}

# End generated Teleport configuration
`;
}

const proxyBlock = (
  { ssh, proxyLogin }: SshConfig,
  proxies: readonly string[],
): string => `# The proxy itself: ssh -J ${ssh.host}
Host ${proxies.join(' ')}
    Port ${ssh.port}
    User ${configQuote(proxyLogin).replaceAll('%%', '%')}

`;

/** @throws CodedError `bad_request` for a name that would be a pattern or several words. */
function hostPattern(name: string): string {
  if (/^[A-Za-z0-9_:][A-Za-z0-9._:-]*$/.test(name)) return name;
  throw new CodedError('bad_request', `'${name}' cannot be written into an ssh_config as a host`);
}
