import type { HostPort } from '../base/service.ts';
import type { SshAlgorithms } from '../ssh/algorithms.ts';
import type { CommandLabel } from './command-labels.ts';

/** The settings of a node. */
export interface NodeConfig {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  /** When it is stopped, and no other process goes on, it is no longer a member. Default: it stays one. */
  readonly leavesOnStop?: boolean;
  readonly listenAddress: HostPort;
  /** The address that this machine announces; asked each time. */
  readonly advertiseIp?: () => string;
  /** `host:port` by which users should call it; the first is announced. */
  readonly publicAddresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly commandLabels: readonly CommandLabel[];
  readonly permitUserEnvironment: boolean;
  /** Default: `defaultAlgorithms`. */
  readonly sshAlgorithms?: SshAlgorithms;
  /** Patterns of variables that clients may set, besides the usual ones. */
  readonly acceptEnv: readonly string[];
  /** Also admits accounts whose unix password is locked. */
  readonly admitLockedAccounts: boolean;
  /** argv that runs our own hidden commands (`scp`, `sftp-server`), for example `['/x/bin/teleport']`. */
  readonly programPath: readonly string[];
  /** Where recordings wait to be sent to auth. Default: nothing is recorded. */
  readonly recordingSpool?: string;
  /** Use our own programs for files even where OpenSSH's are installed. */
  readonly ownFilePrograms?: boolean;
  /** Where the processes of this node tell each other of their sessions; undefined: they do not. */
  readonly liveSessions?: string;
}
