import { messageOf } from '../../src/base/errors.ts';
import type { Peers } from './peers.ts';

/**
 * How long etcd's own history is kept after something was deleted: other programs on this etcd go on from where their
 * watches broke. As Kubernetes does it.
 */
export const historyKeptMs = 5 * 60_000;

/**
 * What we delete stays in etcd's history until that is compacted: slots and snapshots use up its quota, and a data key
 * could still be read by its revision. So who deleted asks for it.
 */
export class History {
  readonly #peers: Pick<Peers, 'call'>;
  readonly #keptMs: number;
  /** What an earlier process deleted may still be there. */
  #freed = true;
  #due: { readonly revision: string; readonly since: number } | undefined;
  compactedRevision = 0;

  constructor(peers: Pick<Peers, 'call'>, keptMs: number) {
    this.#peers = peers;
    this.#keptMs = keptMs;
  }

  /** Something was deleted or overwritten. */
  freed(): void {
    this.#freed = true;
  }

  /** Called now and then. `revision`: etcd's newest; `now`: milliseconds, never going back. */
  async look(revision: string, now: number): Promise<void> {
    if (this.#freed && this.#due === undefined) {
      this.#due = { revision, since: now };
      this.#freed = false;
    }
    const { revision: wanted, since } = this.#due ?? { revision: '0', since: now };
    if (this.#due === undefined || now - since < this.#keptMs) return;
    try {
      await this.#peers.call((client, options) => client.kv.compact({ revision: wanted }, options));
    } catch (e) {
      // Another of us, or the operator, went further.
      if (!messageOf(e).includes('compacted')) throw e;
    }
    this.compactedRevision = Number(wanted);
    this.#due = undefined;
  }
}
