import { createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics, Strangers } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';
import { version } from '../../base/version.ts';
import type { World } from '../../base/world.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { authorityBlobs } from '../../pki/ssh-key.ts';
import type { SshAlgorithms } from '../../ssh/algorithms.ts';
import { keepAliveIn } from '../../views/configuration.ts';
import { createSshServer, type SshConnection, type SshServer } from '../../ssh/cert-server.ts';
import { hostKeysOf } from '../../ssh/host-keys.ts';
import { admitClient, type Admission, lastWordsFor } from './admit-client.ts';
import type { ProxyAudit } from '../proxy-audit.ts';
import { trustedOf } from '../../views/authorities.ts';
import type { ProxyViews } from '../proxy-views.ts';
import type { SshRelay } from './ssh-relay.ts';

export interface SshFrontDeps {
  readonly identity: CurrentIdentity;
  readonly views: ProxyViews;
  readonly relay: SshRelay;
  readonly audit: ProxyAudit;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly strangers: Strangers;
  readonly algorithms: SshAlgorithms;
}

/** How long a node has to tell people why it ends their sessions before the proxy cuts them off. */
const lastWordsMs = second;

/** The SSH port: admits people with certificates, and cuts them off when they may no longer be here. */
export class SshFront {
  /** For `Listeners`. */
  readonly listener: Server;
  readonly #deps: SshFrontDeps;
  readonly #ssh: SshServer;
  readonly #unsubscribe: () => void;
  /** People who are locked and about to be cut off. */
  readonly #ending = new WeakSet<SshConnection>();

  constructor(deps: SshFrontDeps) {
    this.#deps = deps;
    this.#ssh = this.#server();
    this.listener = createServer({ noDelay: true }, (socket) => {
      this.enter(socket);
    });
    const { users, authorities, locks, requests } = deps.views;
    const again = {
      next: () => {
        this.#reconsider();
      },
      error: () => undefined, // `trouble` reports that the view has failed
    };
    const subscriptions = [
      users.changes.subscribe(again),
      authorities.changes.subscribe(again),
      locks.changes.subscribe(again),
      requests.changes.subscribe(again),
      // Open connections keep the key that they have seen.
      deps.identity.changes.subscribe(({ server }) => {
        this.#ssh.setHostKeys(hostKeysOf(server));
      }),
    ];
    this.#unsubscribe = () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    };
  }

  /**
   * Accepts nobody new, waits until every socket that was accepted has closed or the time is `over`, then
   * closes what is left. No socket stays open.
   */
  async close(over: Promise<void>): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.listener.close(() => {
        resolve();
      });
    });
    await Promise.race([closed, over]);
    this.#ssh.drain();
    await this.#ssh.closeConnections('the server is stopping');
    await this.#deps.relay.close();
    await closed;
    this.#unsubscribe();
  }

  /** A client that came to another port. */
  readonly enter = (connection: Duplex): void => {
    this.#ssh.accept(connection, { strangers: this.#deps.strangers });
  };

  /** For an operator who asks. */
  report(): Record<string, unknown> {
    return { sshConnections: this.#ssh.connections().length, carriedStreams: this.#deps.relay.carried() };
  }

  #server(): SshServer {
    const { identity, views, relay, audit, world, sink, metrics } = this.#deps;
    const connected = (): void => {
      metrics.set('proxy_ssh_connections', this.#ssh.connections().length);
    };
    metrics.set('proxy_ssh_connections', 0);
    return createSshServer(
      {
        hostKeys: hostKeysOf(identity.server()),
        userAuthorities: () => authorityBlobs(trustedOf(views.authorities.state(), 'user')),
        now: () => BigInt(Math.floor(Date.parse(world.now()) / 1000)),
        authorize: (certificate) => {
          admitClient(certificate, this.#admission(), 'at_login');
        },
        onAuthFailure: (failure) => {
          metrics.add('proxy_ssh_logins_refused_total', 1);
          audit.refused(failure);
        },
        keepAlive: () => keepAliveIn(views.configuration.state()),
        version,
        sink,
        algorithms: this.#deps.algorithms,
      },
      (connection) => {
        metrics.add('proxy_ssh_connections_total', 1);
        connected();
        void connection.closed.then(connected);
        return relay.handlersFor(connection);
      },
    );
  }

  #admission(): Admission {
    const { views, world } = this.#deps;
    return {
      authorities: views.authorities.state(),
      users: views.users.state(),
      locks: views.locks.state(),
      requests: views.requests.state(),
      now: world.now(),
      failure: views.failure(),
    };
  }

  /** Cuts off everybody affected by a deletion, a lock, or an authority that is not trusted any more. */
  #reconsider(): void {
    for (const connection of this.#ssh.connections()) {
      if (this.#ending.has(connection)) continue;
      try {
        admitClient(connection.certificate, this.#admission(), 'while_connected');
      } catch (e) {
        if (!isCoded(e)) throw e;
        this.#deps.audit.disconnected(connection, messageOf(e));
        this.#cutOff(connection);
      }
    }
  }

  /**
   * The node that carries a session of somebody who is locked, or was deleted, ends it as well, and tells him
   * why.
   */
  #cutOff(connection: SshConnection): void {
    const words = lastWordsFor(connection.certificate, this.#admission());
    if (words === undefined) {
      connection.close('access was withdrawn');
      return;
    }
    this.#ending.add(connection);
    const timer = startTimer(() => {
      connection.close(words);
    }, lastWordsMs);
    void connection.closed.then(() => {
      stopTimer(timer);
    });
  }
}
