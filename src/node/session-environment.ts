import type { HostPort } from '../base/service.ts';
import type { LoginPaths } from '../machine/login-defs.ts';
import type { OsUser } from '../machine/passwd.ts';

export interface EnvironmentParts {
  readonly user: OsUser;
  readonly paths: LoginPaths;
  /** As the client sent them, without those that are not accepted. */
  readonly fromClient: ReadonlyMap<string, string>;
  readonly remote: HostPort;
  readonly local: HostPort;
  readonly terminal: { readonly term: string; readonly path: string } | undefined;
  readonly sessionId: string;
  readonly webProxyAddress: string;
  readonly hostId: string;
  readonly clusterName: string;
  readonly username: string;
  readonly agentSocket: string | undefined;
  /** The requested command, when the certificate forces another one. */
  readonly originalCommand: string | undefined;
  /** What is wrong with this machine, for `teleport status`. */
  readonly trouble: string | undefined;
  /** From `~/.tsh/environment`, filtered in the same way. */
  readonly fromFile: readonly (readonly [string, string])[];
}

/** Empty text, and text with a line break, is not a terminal name. */
const termOf = (term: string): string => (/^[\x21-\x7e]{1,64}$/.test(term) ? term : 'xterm');

/**
 * The whole environment of a program. If a name occurs twice the later one counts, so that variables from
 * outside never replace ours.
 */
export function sessionEnvironment(parts: EnvironmentParts): ReadonlyMap<string, string> {
  const { user, paths, remote, local, terminal, sessionId } = parts;
  const oneLine = (text: string): string => text.replace(/[\0\n]/g, ' ');
  return new Map([
    ['LANG', 'en_US.UTF-8'],
    ['TELEPORT_SESSION', sessionId],
    ...parts.fromClient,
    ...parts.fromFile,
    ['PATH', user.uid === 0 ? paths.superuser : paths.user],
    ['HOME', user.home],
    ['USER', user.name],
    ['SHELL', user.shell],
    ['SSH_CLIENT', `${remote.host} ${remote.port} ${local.port}`],
    ['SSH_CONNECTION', `${remote.host} ${remote.port} ${local.host} ${local.port}`],
    ...(terminal === undefined
      ? []
      : ([
          ['TERM', termOf(terminal.term)],
          ['SSH_TTY', terminal.path],
        ] as const)),
    ['SSH_SESSION_ID', sessionId],
    ['SSH_SESSION_WEBPROXY_ADDR', parts.webProxyAddress],
    ['SSH_TELEPORT_HOST_UUID', parts.hostId],
    ['SSH_TELEPORT_CLUSTER_NAME', parts.clusterName],
    ['SSH_TELEPORT_USER', parts.username],
    ...(parts.agentSocket === undefined ? [] : ([['SSH_AUTH_SOCK', parts.agentSocket]] as const)),
    ...(parts.trouble === undefined ? [] : ([['SSH_TELEPORT_TROUBLE', oneLine(parts.trouble)]] as const)),
    ...(parts.originalCommand === undefined
      ? []
      : ([['SSH_ORIGINAL_COMMAND', oneLine(parts.originalCommand)]] as const)),
  ]);
}
