import type { AuditOutbox } from '../api/audit-outbox.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { formatHostPort } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { Peer } from '../ssh/cert-server.ts';

/** Which event, and what is particular to it. */
export interface Happening {
  readonly event: string;
  readonly code: string;
  readonly ei?: number;
  readonly [field: string]: unknown;
}

/** What all events of a node have. */
interface Common {
  readonly uid: string;
  readonly time: string;
  readonly ei: number;
  readonly namespace: string;
  readonly server_id: string;
  readonly server_hostname: string;
  readonly server_addr: string;
}

/** Whom events are about. */
export interface AuditSubject {
  readonly username: string;
  readonly login: string;
  readonly peer: Peer;
  /** Of the connection. */
  readonly requestId: string;
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

  /** Durable when it resolves. @throws CodedError when it cannot be kept: then what it is about must not happen. */
  async record(subject: AuditSubject, happening: Happening): Promise<void> {
    await this.#options.outbox.emit(this.#event(subject, happening));
  }

  /**
   * For what has happened already. An event that cannot be kept goes whole into the log of the process. Never rejects;
   * `settled` waits for it.
   */
  afterwards(subject: AuditSubject, happening: Happening): Promise<void> {
    return this.#track(this.#event(subject, happening));
  }

  /** As `afterwards`, for what is not about somebody who is logged in. */
  unnamed(fields: Happening): Promise<void> {
    return this.#track({ ...this.#common(), ...fields });
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  #track(event: AuditEvent): Promise<void> {
    const done = this.#options.outbox.emit(event).catch((e: unknown) => {
      this.#options.sink.error(`an audit event could not be kept: ${messageOf(e)}`, {
        event: JSON.stringify(event),
      });
    });
    this.#pending.add(done);
    void done.then(() => this.#pending.delete(done));
    return done;
  }

  #event({ username, login, peer, requestId }: AuditSubject, happening: Happening): AuditEvent {
    return {
      ...this.#common(),
      request_id: requestId,
      user: username,
      login,
      proto: 'ssh',
      ...addressFields(peer),
      ...happening,
    };
  }

  #common(): Common {
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
