import { type Instant, minute, plusMs } from '../base/time.ts';
import type { World } from '../base/world.ts';
import { type LiveSession, type LiveSessions, mostGuestsTold, reportOf } from '../domain/live-sessions.ts';

/** From then on a session counts as idle, and since when is told. */
export const idleAfterMs = 5 * minute;

/** A session with a terminal that has begun. */
export interface BegunSession extends Omit<LiveSession, 'idleSince' | 'guests'> {
  readonly guests: () => NonNullable<LiveSession['guests']>;
  /** For how long nothing went either way. */
  readonly idleMs: () => number;
}

/** Sessions of other processes of this node: of one that is about to end, or of its successor. */
export interface OtherProcesses {
  /** Tells them what runs here. */
  publish(sessions: readonly LiveSession[]): void;
  sessions(): readonly LiveSession[];
  close(): void;
}

export interface LiveSessionsOptions {
  readonly world: Pick<World, 'now'>;
  /** They began or ended: whoever lists them should learn of it soon. */
  readonly onChange: () => void;
  readonly others: OtherProcesses;
}

/** The sessions with a terminal on this node, for lists of the cluster. */
export class LiveSessionList {
  readonly #options: LiveSessionsOptions;
  readonly #here = new Map<string, BegunSession>();
  /** By id: the same silence has the same beginning each time it is told. */
  readonly #idleSince = new Map<string, Instant>();

  constructor(options: LiveSessionsOptions) {
    this.#options = options;
  }

  /** @returns to be called when it has ended. */
  begin(session: BegunSession): () => void {
    this.#here.set(session.sid, session);
    this.#changed();
    return () => {
      this.#idleSince.delete(session.sid);
      if (this.#here.delete(session.sid)) this.#changed();
    };
  }

  /** Those of all processes of this node, for a heartbeat. */
  report(): LiveSessions {
    const here = this.#own();
    // Who is idle is told with the next report of whoever sends it.
    if (here.some(({ idleSince }) => idleSince !== undefined)) this.#options.others.publish(here);
    const known = new Set(here.map(({ sid }) => sid));
    const elsewhere = this.#options.others.sessions().filter(({ sid }) => !known.has(sid));
    return reportOf([...here, ...elsewhere]);
  }

  /** Somebody joined or left one. */
  changed(): void {
    this.#changed();
  }

  /** It runs in another process of this node. */
  isElsewhere(sid: string): boolean {
    return !this.#here.has(sid) && this.#options.others.sessions().some((one) => one.sid === sid);
  }

  close(): void {
    this.#options.others.close();
  }

  #changed(): void {
    this.#options.others.publish(this.#own());
    this.#options.onChange();
  }

  #own(): readonly LiveSession[] {
    return [...this.#here.values()].map(({ idleMs, guests, ...session }) => {
      const idleSince = this.#silenceOf(session.sid, idleMs());
      const known = guests().slice(0, mostGuestsTold);
      return {
        ...session,
        ...(idleSince !== undefined && { idleSince }),
        ...(known.length > 0 && { guests: known }),
      };
    });
  }

  #silenceOf(sid: string, idleMs: number): Instant | undefined {
    if (idleMs < idleAfterMs) {
      this.#idleSince.delete(sid);
      return undefined;
    }
    const since = this.#idleSince.get(sid) ?? plusMs(this.#options.world.now(), -idleMs);
    this.#idleSince.set(sid, since);
    return since;
  }
}

export const noOthers: OtherProcesses = {
  publish: () => undefined,
  sessions: () => [],
  close: () => undefined,
};
