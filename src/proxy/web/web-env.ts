import type { AuthClient } from '../../api/client.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { HostPort } from '../../base/service.ts';
import type { World } from '../../base/world.ts';
import type { AuthorityState } from '../../domain/authority-state.ts';
import type { ClusterState } from '../../domain/cluster.ts';
import type { Balancers, Origin, RequestSocket } from '../client-address.ts';

/** What the web part of a proxy needs. */
export interface WebDeps {
  readonly auth: Pick<AuthClient, 'call'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly clusterName: string;
  /** The cluster as last folded: which second factor is required, with auth away too. */
  readonly cluster: () => ClusterState;
  /** The host authority as last folded: clients follow its rotation by it, with auth away too. */
  readonly hostAuthority: () => AuthorityState;
  /** The same for the user authority: a certificate under a key that is being replaced is exchanged. */
  readonly userAuthority: () => AuthorityState;
  /** The bound address to which SSH clients of this proxy connect. */
  readonly sshAddress: () => HostPort;
  /** `host:port`; empty when none is configured. */
  readonly publicAddress: string;
  readonly sshPublicAddress: string;
  /** The bound port for links of nodes; undefined: the web port serves them alone. */
  readonly tunnelAddress: () => HostPort | undefined;
  /** `host:port`; empty when none is configured. */
  readonly tunnelPublicAddress: string;
  readonly balancers: Balancers;
  /** Tells browsers to use TLS only. False where plain HTTP is served on purpose. */
  readonly tlsOnly: boolean;
  /** How SSH is reached by the web port, for clients that ask: `web`, `web-tls`, `web-upgrade`. */
  readonly webWays: readonly string[];
}

export interface WebEnv {
  Bindings: { readonly incoming: { readonly socket: RequestSocket } };
  Variables: { requestId: string; origin: Origin };
}
