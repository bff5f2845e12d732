import type { HostPort } from '../base/service.ts';
import type { SshAlgorithms } from '../ssh/algorithms.ts';
import type { CommandLabel } from './command-labels.ts';

/** What a node is told by its configuration. */
export interface NodeConfig {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  readonly listenAddress: HostPort;
  /** What this machine calls itself to others; asked whenever it does. */
  readonly advertiseIp?: () => string;
  /** `host:port`, what users should call it; the first is told to others. */
  readonly publicAddresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly commandLabels: readonly CommandLabel[];
  readonly permitUserEnvironment: boolean;
  /** Default: `defaultAlgorithms`. */
  readonly sshAlgorithms?: SshAlgorithms;
  /** Patterns of variables that clients may set, besides the usual ones. */
  readonly acceptEnv: readonly string[];
  /** Let in also where the password of the unix account is locked. */
  readonly admitLockedAccounts: boolean;
  /** argv that runs our own hidden commands (`scp`, `sftp-server`), for example `['/x/bin/teleport']`. */
  readonly programPath: readonly string[];
  /** Take our own programs for files also where OpenSSH's are installed. */
  readonly ownFilePrograms?: boolean;
}
