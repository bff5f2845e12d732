import { type AuditClaim, ordinaryClaim } from '../api/audit-claim.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { type Circumstances, completed, type ParsedAuditEvent } from '../domain/audit-event.ts';
import type { EventBody } from '../domain/audit-kind.ts';
import type { AccessOptions } from '../domain/role-options.ts';
import type { Peer } from '../ssh/cert-server.ts';

/** Where in a session it happened. */
export interface InSession {
  readonly sid: string;
  readonly ei: number;
}

/** Whom events are about. */
export interface AuditSubject {
  readonly username: string;
  readonly login: string;
  readonly peer: Peer;
  /** Of the connection. */
  readonly requestId: string;
  /** By roles, now: whether the person may enter even where the disk is full. */
  readonly mayEnterOnFullDisk: () => boolean;
  /** By roles, now: what becomes of a session that cannot be recorded. */
  readonly recordSession: () => AccessOptions['recordSession'];
}

/** Addresses of a connection: the person's machine, ours, and those of the proxy and balancer in between. */
export function addressFields({
  remoteAddress,
  localAddress,
  socketAddress,
  claimedAddress,
  balancerAddress,
}: Peer): Readonly<Record<string, string>> {
  const remote = formatHostPort(remoteAddress);
  const socket = formatHostPort(socketAddress);
  const balancer = balancerAddress === undefined ? undefined : formatHostPort(balancerAddress);
  const claimed = claimedAddress === undefined ? undefined : formatHostPort(claimedAddress);
  return {
    'addr.remote': remote,
    'addr.local': formatHostPort(localAddress),
    ...(socket === remote || socket === balancer ? {} : { 'addr.proxy': socket }),
    ...(balancer === undefined ? {} : { 'addr.balancer': balancer }),
    // Claimed by a peer that is not known to be a proxy of ours.
    ...(claimed === undefined || claimed === remote ? {} : { 'addr.claimed': claimed }),
  };
}

export interface NodeAuditOptions {
  readonly outbox: Pick<AuditOutbox, 'emit'>;
  readonly world: World;
  readonly sink: LogSink;
  readonly hostId: string;
  readonly nodename: string;
  /** `host:port` of this node. */
  readonly address: () => string;
}

/**
 * Writes the events of a node. The fields they have in common are added here; auth adds who reported them.
 */
export class NodeAudit {
  readonly #options: NodeAuditOptions;
  readonly #pending = new Set<Promise<void>>();

  constructor(options: NodeAuditOptions) {
    this.#options = options;
  }

  /**
   * Durable when it resolves, here or at auth. @throws CodedError when it cannot be stored: then the action
   * that it reports must not happen; `unavailable` when it may have been stored nevertheless.
   */
  async record(subject: AuditSubject, body: EventBody, within?: InSession): Promise<void> {
    const mayEnter = subject.mayEnterOnFullDisk();
    await this.#options.outbox.emit(this.#event(subject, body, within), { happened: false, mayEnter });
  }

  /**
   * For events that have already happened. An event that cannot be stored is logged by this process in full.
   * Never rejects; `settled` waits for it.
   */
  afterwards(subject: AuditSubject, body: EventBody, within?: InSession): Promise<void> {
    const mayEnter = subject.mayEnterOnFullDisk();
    return this.#track(this.#event(subject, body, within), { happened: true, mayEnter });
  }

  /** An event that is not about a logged-in person, for `emit`. */
  unnamed(body: EventBody): ParsedAuditEvent {
    return completed(body, { ...this.#common(), request_id: this.#options.world.uuid() });
  }

  /** Waits while the spool is full. @throws CodedError when the event is not stored. */
  emit(event: ParsedAuditEvent): Promise<void> {
    return this.#options.outbox.emit(event, ordinaryClaim);
  }

  /** Resolves when no event is being stored any more. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  #track(event: ParsedAuditEvent, claim: AuditClaim): Promise<void> {
    const done = this.#options.outbox.emit(event, claim).catch((e: unknown) => {
      this.#options.sink.error(`an audit event could not be kept: ${messageOf(e)}`, {
        event: JSON.stringify(event),
      });
    });
    this.#pending.add(done);
    void done.then(() => this.#pending.delete(done));
    return done;
  }

  #event(
    { username, login, peer, requestId }: AuditSubject,
    body: EventBody,
    within: InSession | undefined,
  ): ParsedAuditEvent {
    return completed(body, {
      ...this.#common(),
      request_id: requestId,
      user: username,
      login,
      proto: 'ssh',
      ...addressFields(peer),
      ...within,
    });
  }

  #common(): Circumstances {
    const { world, hostId, nodename, address } = this.#options;
    return {
      uid: world.uuid(),
      time: world.now(),
      ei: 0,
      namespace: 'default',
      server_id: hostId,
      server_hostname: nodename,
      server_addr: address(),
    };
  }
}
