import type { Server } from 'node:https';
import { boundHandshakes } from '../base/handshake-gate.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Listeners, Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { trustedOf } from '../views/authorities.ts';
import type { AuthDeps } from './deps.ts';
import { takeRelayed } from './relayed-clients.ts';

interface Surroundings {
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Pick<Listeners, 'strangers'>;
}

/**
 * What happens to a connection before TLS: what a proxy says of it is taken off, then it waits for its turn,
 * by the address of whoever it is from. Before the server listens.
 * @returns a function that closes the connections that wait: the server does not know them.
 */
export function beforeTls(
  server: Server,
  { views }: Pick<AuthDeps, 'views'>,
  clusterName: string,
  { world, sink, metrics, listeners }: Surroundings,
): () => void {
  const monotonic = (): number => world.monotonic();
  const gate = boundHandshakes(server, { name: 'auth', metrics, sink, monotonic });
  const cutRelayed = takeRelayed(server, {
    policy: () => ({
      clusterName,
      authorities: trustedOf(views.authorities.state(), 'host').map((key) => key.tlsCertificatePem),
      now: world.now(),
    }),
    strangers: listeners.strangers,
    ...{ sink, metrics, monotonic },
  });
  return () => {
    cutRelayed();
    gate.cutWaiting();
  };
}
