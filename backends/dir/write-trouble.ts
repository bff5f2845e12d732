import { isCoded, messageOf } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';
import type { StoreReport } from '../../src/log/slot-driver.ts';
import type { BlobTable } from './protocol.ts';

/** What a write was for. Deleting and trimming need no space. */
export type Written = Partition | BlobTable | 'deleting';

/** Without these there is no login, no join and no change. */
const indispensable: readonly Written[] = ['state', 'attempts', 'vault', 'meta'];
/**
 * Refused on a disk that is nearly full, long before the others: when these succeed, the others would too.
 */
const cautious: readonly Written[] = ['audit', 'presence'];

/**
 * Whether the store accepts writes. The disk is checked at the moment of the call: no write has to be refused
 * before a full disk is known, nor to succeed before it is over. Other failures count until a write of the
 * same kind succeeds.
 */
export class WriteTrouble {
  readonly #refusalNow: (what: Partition) => string | undefined;
  readonly #failed = new Map<Written, { readonly reason: string; readonly forRoom: boolean }>();

  /** @param refusalNow why the disk would refuse an append now. */
  constructor(refusalNow: (what: Partition) => string | undefined) {
    this.#refusalNow = refusalNow;
  }

  failed(what: Written, e: unknown): void {
    // That is about the value, not about the store.
    if (isCoded(e, 'too_large') || isCoded(e, 'limit_exceeded')) return;
    const forRoom = isCoded(e, 'no_space');
    if (forRoom && this.#disk() !== undefined) return;
    this.#failed.set(what, { reason: messageOf(e), forRoom });
  }

  succeeded(what: Written): void {
    this.#failed.delete(what);
    if (!cautious.includes(what)) return;
    for (const other of this.#failed.keys()) if (other !== 'deleting') this.#failed.delete(other);
  }

  report(): Pick<StoreReport, 'writes' | 'trouble'> {
    const refusal = this.#refusalNow('state') ?? this.#failureOfWrites();
    return refusal === undefined
      ? { writes: 'taken', trouble: this.#disk() ?? [...this.#failed.values()][0]?.reason }
      : { writes: 'refused', trouble: refusal };
  }

  #disk(): string | undefined {
    return this.#refusalNow('state') ?? this.#refusalNow('audit');
  }

  /** A disk with errors fails every write. */
  #failureOfWrites(): string | undefined {
    for (const [what, { reason, forRoom }] of this.#failed)
      if (indispensable.includes(what) || (!forRoom && what !== 'deleting')) return reason;
    return undefined;
  }
}
