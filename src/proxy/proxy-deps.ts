import type { AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { LookUpName } from '../base/name-lookup.ts';
import type { HostPort, Listeners, Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import type { CurrentIdentity } from '../pki/current-identity.ts';
import type { SshAlgorithms } from '../ssh/algorithms.ts';
import type { AuthoritiesState } from '../views/authorities.ts';
import type { CertificateFiles } from './web/web-certificate-watch.ts';
import type { RootAddresses, RootEntry } from './tunnel/root-links.ts';

export interface ProxyConfig {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  /** When it is stopped, and no other process goes on, it is no longer a member. Default: it stays one. */
  readonly leavesOnStop?: boolean;
  readonly sshListenAddress: HostPort;
  readonly webListenAddress: HostPort;
  /** For links of nodes; undefined: the web port serves them alone. */
  readonly tunnelListenAddress?: HostPort | undefined;
  /** For links of other proxies; undefined: the web port serves them alone. */
  readonly peerListenAddress?: HostPort | undefined;
  /** `host:port` by which users call the web port; the first is announced. */
  readonly publicAddresses: readonly string[];
  readonly sshPublicAddresses: readonly string[];
  /** `host:port` where nodes reach the port for links; the first is announced. */
  readonly tunnelPublicAddresses?: readonly string[];
  readonly peerPublicAddresses?: readonly string[];
  /** The address that this machine announces; asked each time. */
  readonly advertiseIp: () => string;
  readonly authServers: readonly HostPort[];
  readonly web: {
    readonly speaks: 'tls' | 'both' | 'plain';
    /** Where a self-signed pair is kept. */
    readonly directory: string;
    /**
     * Empty: self-signed. Several: chosen by the name that a client asks for. Read again when they change.
     */
    readonly files: readonly CertificateFiles[];
  };
  /** Addresses or networks of load balancers whose forwarded headers count; default none. */
  readonly balancers?: readonly string[];
  /**
   * SSH servers that are not nodes of the cluster and may be reached through this proxy anyway, each with its
   * port; default none. 4.4 dialled any requested `host:port`.
   */
  readonly plainSshHosts?: readonly HostPort[];
  /** Addresses or networks where nodes may be although it is unusual: loopback, link-local; default none. */
  readonly nodeAddresses?: readonly string[];
  /** Default: `defaultAlgorithms`. */
  readonly sshAlgorithms?: SshAlgorithms;
}

export interface ProxyDeps {
  readonly identity: CurrentIdentity;
  /** Why a renewal of its certificates is overdue; undefined while it is not. */
  readonly renewalTrouble: () => string | undefined;
  /** How far it follows the rotations of authorities, compared with the state folded here. */
  readonly adopted: (authorities: AuthoritiesState) => Adopted;
  /** Called with the time over which the machines of the cluster spread what all of them do at once. */
  readonly onSpread: (ms: number) => void;
  readonly auth: AuthClient;
  readonly outbox: AuditOutbox;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly lookUpName: LookUpName;
  /** How the proxies of a cluster are reached that this one trusts. */
  readonly openRootEntry: (addresses: RootAddresses) => RootEntry;
  readonly config: ProxyConfig;
}
