import type { AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { LookUpName } from '../base/name-lookup.ts';
import type { Listeners, Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import type { AuthoritiesState } from '../views/authorities.ts';
import type { CurrentIdentity } from '../pki/current-identity.ts';
import type { Agents } from '../tunnel/agents.ts';
import type { NodeConfig } from './node-config.ts';

/** What a node needs. */
export interface NodeDeps {
  readonly identity: CurrentIdentity;
  /** Why a renewal of its certificates is overdue; undefined while it is not. */
  readonly renewalTrouble: () => string | undefined;
  /** How far it follows the rotations of authorities, compared with the state folded here. */
  readonly adopted: (authorities: AuthoritiesState) => Adopted;
  /** Called with the time over which the machines of the cluster spread what all of them do at once. */
  readonly onSpread: (ms: number) => void;
  readonly auth: Pick<AuthClient, 'call' | 'state'>;
  readonly outbox: Pick<AuditOutbox, 'emit' | 'trouble' | 'pending' | 'disk'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly lookUpName: LookUpName;
  /** Its links to proxies, where it is reached through them and listens on no port. */
  readonly agents?: Agents | undefined;
  readonly config: NodeConfig;
}
