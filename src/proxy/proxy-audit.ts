import type { Duplex } from 'node:stream';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import { RefusedAttempts } from '../api/refused-attempts.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import { completed, type ParsedAuditEvent } from '../domain/audit-event.ts';
import type { EventBody } from '../domain/audit-kind.ts';
import type { AuthFailure, Peer, SshConnection } from '../ssh/cert-server.ts';
import type { LeafRequest } from '../tunnel/link-wish.ts';

export interface ProxyAuditDeps {
  readonly outbox: Pick<AuditOutbox, 'emit'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly hostId: string;
}

/**
 * What a proxy reports to the audit: refused SSH logins (`auth`, T3007W), targets it did not reach (`port`,
 * T3003E), and connections it ended. When there are too many refusals to store each, they are counted
 * (`api/refused-attempts.ts`).
 */
export class ProxyAudit {
  readonly #deps: ProxyAuditDeps;
  readonly #attempts: RefusedAttempts;
  readonly #pending = new Set<Promise<void>>();

  constructor(deps: ProxyAuditDeps) {
    this.#deps = deps;
    const { world, sink, outbox } = deps;
    this.#attempts = new RefusedAttempts({
      world,
      sink,
      about: 'auth',
      message: 'refused logins and targets that were not reached, not kept one by one: too many came',
      complete: (body) => this.#event(body),
      emit: (event) => outbox.emit(event),
    });
  }

  refused({ username, keyId, reason, peer }: AuthFailure): void {
    this.#attempts.record(
      peer.remoteAddress.host,
      catalogue.authAttemptFailure({
        success: false,
        error: reason,
        login: username,
        proto: 'ssh',
        ...(keyId === undefined ? {} : { user: keyId }),
        ...addressFields(peer),
      }),
    );
  }

  /**
   * Somebody requested a target that does not reply, or is not dialled: a client that does so often is
   * searching.
   */
  unreachable({ certificate, username, peer }: SshConnection, target: string, error: string): void {
    this.#attempts.record(
      peer.remoteAddress.host,
      catalogue.portForwardFailure({
        success: false,
        user: certificate.keyId,
        login: username,
        addr: target,
        error,
        ...addressFields(peer),
      }),
    );
  }

  /** The same for somebody of another cluster, who came by a link of that: a claim of its proxy. */
  unreachableFrom(asked: {
    readonly user: string;
    readonly target: string;
    readonly address: HostPort;
    readonly error: string;
  }): void {
    const { user, target, address, error } = asked;
    this.#attempts.record(
      address.host,
      catalogue.portForwardFailure({
        ...{ success: false, user, addr: target, error },
        'addr.remote': formatHostPort(address),
      }),
    );
  }

  /** The proxy ended a connection because its user may no longer be here. */
  disconnected({ certificate, username, peer }: SshConnection, reason: string): void {
    this.#happened(
      catalogue.clientDisconnect({
        user: certificate.keyId,
        login: username,
        reason,
        ...addressFields(peer),
      }),
    );
  }

  /**
   * Somebody has entered a node of a leaf, which named the session, and leaves it when `stream` is closed.
   */
  inLeaf(
    {
      leaf,
      session,
      request,
    }: { readonly leaf: string; readonly session: string; readonly request: LeafRequest },
    stream: Duplex,
  ): void {
    const { username: user, target, client } = request;
    const fields = {
      ...{ user, cluster_name: leaf, addr: target.kind === 'node' ? `${target.host}:${target.port}` : '' },
      'addr.remote': client,
    };
    this.#happened(catalogue.sessionConnect(fields), { sid: session });
    const left = (): void => {
      this.#happened(catalogue.sessionDisconnect(fields), { sid: session });
    };
    if (stream.closed) left();
    else stream.once('close', left);
  }

  #happened(body: EventBody, more?: { readonly sid: string }): void {
    const event = this.#event(body, more);
    const { outbox, sink } = this.#deps;
    const done = outbox.emit(event).catch((e: unknown) => {
      sink.error('an audit event could not be kept', { reason: messageOf(e), event: JSON.stringify(event) });
    });
    this.#pending.add(done);
    void done.then(() => this.#pending.delete(done));
  }

  /** Emits the counts that are not emitted yet, and waits for all events that are being stored. */
  async close(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
    await this.#attempts.close();
  }

  #event(body: EventBody, more?: { readonly sid: string }): ParsedAuditEvent {
    const { world, hostId } = this.#deps;
    return completed(body, {
      uid: world.uuid(),
      time: world.now(),
      ei: 0,
      ...more,
      server_id: hostId,
      request_id: world.uuid(),
    });
  }
}

function addressFields({ remoteAddress, localAddress, balancerAddress }: Peer): {
  readonly 'addr.remote': string;
  readonly 'addr.local': string;
  readonly 'addr.balancer'?: string;
} {
  return {
    ...{ 'addr.remote': formatHostPort(remoteAddress), 'addr.local': formatHostPort(localAddress) },
    ...(balancerAddress && { 'addr.balancer': formatHostPort(balancerAddress) }),
  };
}
