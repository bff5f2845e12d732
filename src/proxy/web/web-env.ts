import type { AuthClient } from '../../api/client.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { HostPort } from '../../base/service.ts';
import type { World } from '../../base/world.ts';
import type { AuthorityState } from '../../domain/authority-state.ts';
import type { ClusterState } from '../../domain/cluster.ts';
import type { Balancers, Origin, RequestSocket } from '../client-address.ts';

/** What the web half of a proxy stands on. */
export interface WebDeps {
  readonly auth: Pick<AuthClient, 'call'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly clusterName: string;
  /** What was last folded of the cluster: says which second factor is asked for, with auth away too. */
  readonly cluster: () => ClusterState;
  /** What was last folded of the host authority: clients follow its rotation by it, with auth away too. */
  readonly hostAuthority: () => AuthorityState;
  /** Likewise of the user authority: a certificate of a key that leaves is exchanged. */
  readonly userAuthority: () => AuthorityState;
  /** Where SSH clients of this proxy connect to, as bound. */
  readonly sshAddress: () => HostPort;
  /** `host:port`; empty when none is configured. */
  readonly publicAddress: string;
  readonly sshPublicAddress: string;
  readonly balancers: Balancers;
  /** Browsers are told to come by TLS only. False where plain HTTP is served on purpose. */
  readonly tlsOnly: boolean;
}

export interface WebEnv {
  Bindings: { readonly incoming: { readonly socket: RequestSocket } };
  Variables: { requestId: string; origin: Origin };
}
