import { createServer, type Server } from 'node:net';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics, Strangers } from '../base/service.ts';
import { version } from '../base/version.ts';
import type { World } from '../base/world.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { privateKeyFromPem } from '../pki/key-pair.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import type { SshAlgorithms } from '../ssh/algorithms.ts';
import { createSshServer, type SshServer } from '../ssh/cert-server.ts';
import { admitClient } from './admit-client.ts';
import type { ProxyAudit } from './proxy-audit.ts';
import { type ProxyViews, userAuthorityBlobs } from './proxy-views.ts';
import type { SshRelay } from './ssh-relay.ts';

export interface SshFrontDeps {
  readonly identity: HostIdentity;
  readonly views: ProxyViews;
  readonly relay: SshRelay;
  readonly audit: ProxyAudit;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly strangers: Strangers;
  readonly algorithms: SshAlgorithms;
}

/** The SSH port: lets people with certificates in, and out again when they may no longer be here. */
export class SshFront {
  /** For `Listeners`. */
  readonly listener: Server;
  readonly #deps: SshFrontDeps;
  readonly #ssh: SshServer;
  readonly #unsubscribe: () => void;

  constructor(deps: SshFrontDeps) {
    this.#deps = deps;
    this.#ssh = this.#server();
    this.listener = createServer({ noDelay: true }, (socket) => {
      this.#ssh.accept(socket, { strangers: deps.strangers });
    });
    const { users, authorities } = deps.views;
    const again = {
      next: () => {
        this.#reconsider();
      },
      error: () => undefined, // `trouble` says that the view has failed
    };
    const subscriptions = [users.changes.subscribe(again), authorities.changes.subscribe(again)];
    this.#unsubscribe = () => {
      for (const subscription of subscriptions) subscription.unsubscribe();
    };
  }

  /**
   * Takes nobody new, waits until every socket that was accepted has closed or the time is `over`, then closes what is
   * left. No socket stays open.
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
        hostKeys: [
          {
            privateKey: privateKeyFromPem(identity.privateKeyPem),
            certificate: fromAuthorizedKeyLine(identity.sshCertificate),
          },
        ],
        userAuthorities: () => userAuthorityBlobs(views.authorities.state()),
        now: () => BigInt(Math.floor(Date.parse(world.now()) / 1000)),
        authorize: (certificate) => {
          this.#admit(certificate);
        },
        onAuthFailure: (failure) => {
          metrics.add('proxy_ssh_logins_refused_total', 1);
          audit.refused(failure);
        },
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

  #admit(certificate: Certificate): void {
    const { views } = this.#deps;
    admitClient(certificate, {
      authorities: views.authorities.state(),
      users: views.users.state(),
      failure: views.failure(),
    });
  }

  /** A user who was deleted, an authority that is trusted no more: whoever it concerns is cut off now. */
  #reconsider(): void {
    for (const connection of this.#ssh.connections()) {
      try {
        this.#admit(connection.certificate);
      } catch (e) {
        if (!isCoded(e)) throw e;
        this.#deps.audit.disconnected(connection, messageOf(e));
        connection.close('access was withdrawn');
      }
    }
  }
}
