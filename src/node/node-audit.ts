import { type AuditClaim, ordinaryClaim } from '../api/audit-claim.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { type Circumstances, completed, type ParsedAuditEvent } from '../domain/audit-event.ts';
import type { EventBody } from '../domain/audit-kind.ts';
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
  /** By roles, now: also where the disk takes nothing. */
  readonly mayEnterOnFullDisk: () => boolean;
}

/** Addresses of a connection: the person's machine, ours, and the proxy's when one stands between. */
export function addressFields({
  remoteAddress,
  localAddress,
  socketAddress,
  claimedAddress,
}: Peer): Readonly<Record<string, string>> {
  const remote = formatHostPort(remoteAddress);
  const socket = formatHostPort(socketAddress);
  const claimed = claimedAddress === undefined ? undefined : formatHostPort(claimedAddress);
  return {
    'addr.remote': remote,
    'addr.local': formatHostPort(localAddress),
    ...(socket === remote ? {} : { 'addr.proxy': socket }),
    // Said by a peer that is not known to be a proxy of ours.
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

/** Writes the events of a node: what they have in common is added here; by whom they are told says auth. */
export class NodeAudit {
  readonly #options: NodeAuditOptions;
  readonly #pending = new Set<Promise<void>>();

  constructor(options: NodeAuditOptions) {
    this.#options = options;
  }

  /**
   * Durable when it resolves, here or at auth. @throws CodedError when it cannot be kept: then what it is
   * about must not happen; `unavailable` when it may have been kept all the same.
   */
  async record(subject: AuditSubject, body: EventBody, within?: InSession): Promise<void> {
    const mayEnter = subject.mayEnterOnFullDisk();
    await this.#options.outbox.emit(this.#event(subject, body, within), { happened: false, mayEnter });
  }

  /**
   * For what has happened already. An event that cannot be kept goes whole into the log of the process. Never
   * rejects; `settled` waits for it.
   */
  afterwards(subject: AuditSubject, body: EventBody, within?: InSession): Promise<void> {
    const mayEnter = subject.mayEnterOnFullDisk();
    return this.#track(this.#event(subject, body, within), { happened: true, mayEnter });
  }

  /** An event that is not about somebody who is logged in, for `emit`. */
  unnamed(body: EventBody): ParsedAuditEvent {
    return completed(body, { ...this.#common(), request_id: this.#options.world.uuid() });
  }

  /** Waits where the spool is full. @throws CodedError when the event is not kept. */
  emit(event: ParsedAuditEvent): Promise<void> {
    return this.#options.outbox.emit(event, ordinaryClaim);
  }

  /** Resolves when nothing is on its way any more. */
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
