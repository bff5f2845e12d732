import { type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { tellClient } from '../base/client-of.ts';
import { messageOf } from '../base/errors.ts';
import { lookAtConnections, readFirstBytes } from '../base/first-bytes.ts';
import type { LogSink } from '../base/log-sink.ts';
import { seldom } from '../base/seldom.ts';
import type { Metrics, Strangers } from '../base/service.ts';
import { second } from '../base/time.ts';
import {
  believedClient,
  readRelayStatement,
  type RelayPolicy,
  type StatementReading,
} from '../pki/relay-statement.ts';

export interface RelayedDeps {
  readonly policy: () => RelayPolicy;
  readonly strangers: Strangers;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** In milliseconds. */
  readonly monotonic: () => number;
}

/** From accept to the first byte, and to the end of a statement. */
const patienceMs = 10 * second;

/**
 * Takes what a proxy says of a machine that it passes on off its connection, before TLS begins. From then on
 * `clientOf` the connection is that machine. A statement that is not believed ends the connection.
 * @returns a function that closes the connections of which nothing has come yet: the server does not know
 *   them.
 */
export function takeRelayed(server: Server, deps: RelayedDeps): () => void {
  const { policy, strangers, sink, metrics, monotonic } = deps;
  const waiting = new Set<Duplex>();
  const warn = seldom(sink, monotonic, 'nowhere');
  const refuse = (connection: Duplex, reason: string): void => {
    connection.destroy();
    metrics.add('auth_relayed_refused_total', 1);
    warn('connections that a proxy passed on were refused', { reason });
  };
  lookAtConnections(server, (connection, goOn) => {
    if (!(connection instanceof Socket)) {
      goOn();
      return;
    }
    const serve = (rest: Buffer): void => {
      if (rest.length > 0) connection.unshift(rest);
      goOn();
    };
    readFirstBytes(connection, {
      read: sayingIn,
      found: (reading, first) => {
        if (reading.status === 'absent') serve(first);
        else if (reading.status === 'malformed')
          refuse(connection, 'what a proxy said of a machine cannot be read');
        else
          try {
            const client = believedClient(reading.said, policy());
            tellClient(connection, client);
            strangers.comesFrom(connection, client.host);
            serve(first.subarray(reading.bytes));
          } catch (e) {
            refuse(connection, messageOf(e));
          }
      },
      limitMs: patienceMs,
      waiting,
    });
  });
  return () => {
    for (const connection of waiting) connection.destroy();
  };
}

type Saying = Exclude<StatementReading, { status: 'incomplete' }>;

/** Undefined while it may still become a statement. */
function sayingIn(first: Buffer): Saying | undefined {
  const reading = readRelayStatement(first);
  return reading.status === 'incomplete' ? undefined : reading;
}
