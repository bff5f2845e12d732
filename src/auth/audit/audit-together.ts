import { setImmediate as turn } from 'node:timers/promises';
import { isCoded } from '../../base/errors.ts';
import type { World } from '../../base/world.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import type { Cause, Position } from '../../log/event.ts';
import type { AuditWriter } from './audit-writer.ts';

/** Errors that mean that nothing at all can be stored now. */
const ofStore: ReadonlySet<string> = new Set(['unavailable', 'ambiguous', 'no_space', 'damaged']);

interface Waiting {
  readonly event: ParsedAuditEvent;
  readonly cause: Cause;
  readonly resolve: (position: Position) => void;
  readonly reject: (reason: unknown) => void;
}

/** The most events in one append; each is far below the limit of an append. */
const mostTogether = 64;

/**
 * One append is under way at a time, and the next takes everything that waits: fifty machines that join at
 * once wait for two appends, not for fifty. Each event names its own actor; the cause of a shared append is
 * this auth server.
 */
export class Together {
  readonly #writer: Pick<AuditWriter, 'appendNew'>;
  readonly #world: World;
  readonly #hostId: string;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(writer: Pick<AuditWriter, 'appendNew'>, world: World, hostId: string) {
    this.#writer = writer;
    this.#world = world;
    this.#hostId = hostId;
  }

  append(event: ParsedAuditEvent, cause: Cause): Promise<Position> {
    const { promise, resolve, reject } = Promise.withResolvers<Position>();
    this.#waiting.push({ event, cause, resolve, reject });
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What one commit settled is told together: its others come in this very turn of the event loop.
    await turn();
    while (this.#waiting.length > 0) {
      const some = this.#waiting.slice(0, mostTogether);
      this.#waiting = this.#waiting.slice(mostTogether);
      await this.#append(some);
    }
    this.#running = false;
  }

  async #append(some: readonly Waiting[]): Promise<void> {
    const [first, ...others] = some;
    if (!first) return;
    if (others.length === 0) {
      await this.#appendAlone(first);
      return;
    }
    const cause = {
      at: this.#world.now(),
      actor: `auth:${this.#hostId}`,
      requestId: this.#world.uuid(),
    };
    try {
      const position = await this.#writer.appendNew(
        some.map(({ event }) => event),
        cause,
      );
      for (const one of some) one.resolve(position);
    } catch (e) {
      // An event that can never be stored must not fail the others.
      if (isCoded(e) && !ofStore.has(e.code)) for (const one of some) await this.#appendAlone(one);
      else for (const one of some) one.reject(e);
    }
  }

  async #appendAlone({ event, cause, resolve, reject }: Waiting): Promise<void> {
    try {
      resolve(await this.#writer.appendNew([event], cause));
    } catch (e) {
      reject(e);
    }
  }
}
