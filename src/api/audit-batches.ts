import { type ErrorCode, isCoded } from '../base/errors.ts';

/** How to go on after a batch was refused. */
export type AfterRefusal =
  /** Send the next one at once: it is smaller. */
  | 'next'
  /** Send the next one after a pause. */
  | 'later'
  /** Its only event is too large as it is. */
  | 'too large'
  /** Its only event is never accepted, whatever its size. */
  | 'never';

export interface Batched {
  /** Of its text. */
  readonly bytes: number;
  /** A `gap` replaces an event that was refused: if it is refused as well, the event is not the cause. */
  readonly form: 'whole' | 'cut' | 'gap';
}

const mostEvents = 200;
/** A batch of the log has 320 KB. This does not count what the log adds to each event. */
const mostBytes = 128 * 1024;
const wrappedIn = 512;
/** Smaller than this, an event that is refused with `limit_exceeded` only has to wait. */
const surelyFits = 10 * 1024;
/** How many times an event is sent when its refusal may be caused by it or by the server. */
const doubtfulTries = 8;

/**
 * Decides how many events go into the next batch. A refused batch is halved until the event is found that is
 * refused by itself; an accepted one is doubled. So an event that can never be accepted is not sent for ever,
 * and does not block others.
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
 * What a refusal means for the events: `lasting` that they are never accepted, `doubtful` that the cause may
 * be in them or in the server. All other codes are about the server or the caller, and the events wait.
 */
const kinds: Partial<Record<ErrorCode, 'lasting' | 'doubtful'>> = {
  bad_request: 'lasting',
  too_large: 'lasting',
  // Older servers use this code also for an event that never fits.
  limit_exceeded: 'doubtful',
  // A bug that perhaps only one event triggers.
  internal: 'doubtful',
};

const kindOf = (e: unknown): 'lasting' | 'doubtful' | 'passing' =>
  isCoded(e) ? (kinds[e.code] ?? 'passing') : 'doubtful';
