import { messageOf } from '../../src/base/errors.ts';
import type { Peers } from './peers.ts';

/**
 * How long etcd's own history is kept after something was deleted: other programs on this etcd resume their
 * broken watches from it. As Kubernetes does it.
 */
export const historyKeptMs = 5 * 60_000;

/**
 * What we delete stays in etcd's history until that is compacted: slots and snapshots use up its quota, and a
 * data key could still be read by its revision. So a process that deletes requests it.
 */
export class History {
  readonly #peers: Pick<Peers, 'call'>;
  readonly #keptMs: number;
  /** Up to which revision there are deletions without a requested compaction. */
  #freed = 0n;
  /** Something may have been deleted at an unknown revision, as by an earlier process. */
  #unknown = true;
  #due: { readonly revision: string; readonly since: number } | undefined;
  compactedRevision = 0;

  constructor(peers: Pick<Peers, 'call'>, keptMs: number) {
    this.#peers = peers;
    this.#keptMs = keptMs;
  }

  /** Something was deleted; see `Freed`. */
  freed(revision?: string): void {
    if (revision === undefined) this.#unknown = true;
    else if (BigInt(revision) > this.#freed) this.#freed = BigInt(revision);
  }

  /**
   * Called from time to time. `newest`: asks for etcd's revision; `now`: milliseconds of a monotonic clock.
   */
  async look(newest: () => Promise<string>, now: number): Promise<void> {
    if (this.#due === undefined && (this.#unknown || this.#freed > 0n)) {
      const unknown = this.#unknown;
      // A deletion while etcd replies is not in its reply: that is for the next time.
      this.#unknown = false;
      const upTo = unknown ? await this.#asked(newest) : this.#freed;
      if (upTo >= this.#freed) this.#freed = 0n;
      this.#due = { revision: String(upTo), since: now };
    }
    const { revision: wanted, since } = this.#due ?? { revision: '0', since: now };
    if (this.#due === undefined || now - since < this.#keptMs) return;
    try {
      await this.#peers.call((client, options) => client.kv.compact({ revision: wanted }, options));
    } catch (e) {
      if (messageOf(e).includes('future revision')) {
        // etcd was restored to an earlier state: its revisions are different now.
        [this.#due, this.#freed, this.#unknown] = [undefined, 0n, true];
        return;
      }
      // Another process of ours, or the operator, compacted further.
      if (!messageOf(e).includes('compacted')) throw e;
    }
    this.compactedRevision = Number(wanted);
    this.#due = undefined;
  }

  async #asked(newest: () => Promise<string>): Promise<bigint> {
    try {
      return BigInt(await newest());
    } catch (e) {
      this.#unknown = true;
      throw e;
    }
  }
}
