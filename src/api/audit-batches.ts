import { type ErrorCode, isCoded } from '../base/errors.ts';

/** What is to be done with a batch that was refused. */
export type AfterRefusal =
  /** The next one at once: it is smaller. */
  | 'next'
  /** The next one after a pause. */
  | 'later'
  /** Its only event is too large as it is. */
  | 'too large'
  /** Its only event is never taken, whatever its size. */
  | 'never';

export interface Batched {
  /** Of its text. */
  readonly bytes: number;
  /**
   * A `gap` stands for an event that was refused: if it is refused as well, the fault lies not in the event.
   */
  readonly form: 'whole' | 'cut' | 'gap';
}

const mostEvents = 200;
/** A batch of the log has 320 KB. Not counted in it is what the log wraps each event in. */
const mostBytes = 128 * 1024;
const wrappedIn = 512;
/** Smaller than this, an event that is refused with `limit_exceeded` only has to wait. */
const surelyFits = 10 * 1024;
/** How often one event is sent whose refusal may lie in it or in the server. */
const doubtfulTries = 8;

/**
 * How many events go into the next batch. What is refused is halved until the event is found that is refused
 * by itself; what is taken is doubled. So nothing that can never be taken is sent for ever, and it stops
 * nobody else's events.
 */
export class AuditBatches {
  #most = mostEvents;
  #tries = 0;

  /** @param together whether two may go in one batch. */
  next<T extends Batched>(
    waiting: readonly T[],
    together: (one: T, first: T) => boolean = () => true,
  ): readonly T[] {
    let bytes = 0;
    const [first] = waiting;
    const end = waiting.findIndex(
      (one, i) =>
        i >= this.#most ||
        ((bytes += one.bytes + wrappedIn) > mostBytes && i > 0) ||
        (first !== undefined && !together(one, first)),
    );
    return waiting.slice(0, end < 0 ? undefined : end);
  }

  taken(): void {
    this.#most = Math.min(mostEvents, this.#most * 2);
    this.#tries = 0;
  }

  refused(batch: readonly Batched[], e: unknown): AfterRefusal {
    const kind = kindOf(e);
    if (kind === 'passing') return 'later';
    const [only] = batch;
    if (batch.length > 1 || only === undefined) {
      this.#most = Math.ceil(batch.length / 2);
      return kind === 'lasting' ? 'next' : 'later';
    }
    if (kind === 'doubtful' && this.#mayPass(only, e)) return 'later';
    this.#tries = 0;
    return isCoded(e, 'too_large') || isCoded(e, 'limit_exceeded') ? 'too large' : 'never';
  }

  #mayPass({ bytes, form }: Batched, e: unknown): boolean {
    if (form === 'gap' || (bytes <= surelyFits && isCoded(e, 'limit_exceeded'))) return true;
    this.#tries++;
    return this.#tries < doubtfulTries;
  }
}

/**
 * What a refusal says of the events: `lasting` that they are never taken, `doubtful` that it may lie in them
 * or in the server. All other codes speak of the server or of who calls it, and keep the events waiting.
 */
const kinds: Partial<Record<ErrorCode, 'lasting' | 'doubtful'>> = {
  bad_request: 'lasting',
  too_large: 'lasting',
  // Older servers answer so also for what never fits.
  limit_exceeded: 'doubtful',
  // A bug that perhaps only one event meets.
  internal: 'doubtful',
};

const kindOf = (e: unknown): 'lasting' | 'doubtful' | 'passing' =>
  isCoded(e) ? (kinds[e.code] ?? 'passing') : 'doubtful';
