import { minute } from '../base/duration.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import type { ParsedAuditEvent } from '../domain/audit-event.ts';
import type { EventBody } from '../domain/audit-kind.ts';
import { FloodCounter } from './flood-counter.ts';
import { refusalPace, type RefusalPace } from './refusal-pace.ts';

export interface RefusedAttemptsOptions {
  readonly world: World;
  readonly sink: LogSink;
  /** Type of the events that would report all of them one by one. */
  readonly about: string;
  /** The message of the event that reports their number. */
  readonly message: string;
  /** Makes the whole event. */
  readonly complete: (body: EventBody) => ParsedAuditEvent;
  /** Rejects when the event is not stored. */
  readonly emit: (event: ParsedAuditEvent) => Promise<void>;
}

/** Events that may wait for the spool at a time: further ones are counted. */
const maxWaiting = 1_000;

/**
 * What a proxy or node refuses to unauthenticated clients. A flood on a port fills neither disk nor memory:
 * at the pace of `refusalPace` each refusal is an event of its own, the rest is counted, and so are events
 * that the spool does not accept.
 */
export class RefusedAttempts {
  readonly #options: RefusedAttemptsOptions;
  readonly #pace: RefusalPace;
  readonly #counter: FloodCounter;
  readonly #waiting = new Set<Promise<void>>();

  constructor(options: RefusedAttemptsOptions) {
    this.#options = options;
    const { world, sink, about, message, complete, emit } = options;
    this.#pace = refusalPace(world);
    this.#counter = new FloodCounter({
      about,
      intervalMs: minute,
      emit: (flood) => emit(complete(catalogue.gap({ about, message, ...flood }))),
      world,
      sink,
    });
  }

  /** A refusal for this address: the event is emitted, or counted. */
  record(host: string, body: EventBody): void {
    if (this.#waiting.size >= maxWaiting || !this.#pace.mayTell(host)) this.#counter.count(host);
    else this.#emit(host, body);
  }

  /** Emits the counts, after all other events are stored. */
  async close(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
    await this.#counter.close();
  }

  #emit(host: string, body: EventBody): void {
    const { complete, emit, sink } = this.#options;
    const event = complete(body);
    const done = emit(event).catch((e: unknown) => {
      sink.error('an audit event could not be kept', { reason: messageOf(e), event: JSON.stringify(event) });
      this.#counter.count(host);
    });
    this.#waiting.add(done);
    void done.then(() => this.#waiting.delete(done));
  }
}
