import { isSessionId } from '../../../recording/chunk.ts';
import type { ToldRecording } from '../../../recording/verify-recordings.ts';
import { auditFact } from '../../../domain/audit.ts';
import type { Fact } from '../../../log/event.ts';

/** What the audit says of recordings, as it is read. */
export class ToldRecordings {
  readonly #ends = new Map<string, { readonly head: string; readonly chunks: number }>();
  readonly #stored = new Set<string>();

  /** The next fact of `audit`. */
  take(fact: Fact): void {
    if (fact.type !== 'audit.recorded') return;
    const event = auditFact.safeParse(fact).data?.data.event;
    if (event?.sid === undefined || !isSessionId(event.sid)) return;
    const { sid, recording_head: head, recording_chunks: chunks } = event;
    if (typeof head !== 'string' || typeof chunks !== 'number') return;
    if (event.event === 'session.end') this.#ends.set(sid, { head, chunks });
    else if (event.event === 'session.upload') this.#stored.add(sid);
  }

  /** Those of which something was recorded. */
  *all(): Generator<ToldRecording> {
    for (const [sid, { head, chunks }] of this.#ends)
      if (chunks > 0) yield { sid, head, chunks, wasStored: this.#stored.has(sid) };
  }
}
