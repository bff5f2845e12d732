import { isCoded } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { Batch } from './batch.ts';
import { isTrimmed, type Partition, type Position, type Recorded } from './event.ts';
import { logKeyIn, logKeyStream } from './log-key.ts';
import type { BadSlot } from './reader-condition.ts';
import { checkHead, headOf, headsStream, type LogKey, type SignedHead } from './signed-head.ts';

/** A signed head that was kept elsewhere. */
export interface WitnessedHead {
  readonly head: SignedHead;
  /** Where it was found, for people: `/srv/heads, line 12`. */
  readonly source: string;
}

/** What signed heads show about one partition. */
export interface HeadsReport {
  /** Signed heads in the partition itself, and the newest of them. */
  readonly signed: number;
  readonly newest: SignedHead | undefined;
  /** Events behind the newest signed head, without those of signing: only the chain covers them. */
  readonly unsigned: number;
  /**
   * Heads kept elsewhere: those that agree, those about trimmed slots, and those younger than the archive.
   */
  readonly agreed: number;
  readonly trimmed: number;
  readonly younger: number;
}

export interface HeadsOptions {
  readonly partition: Partition;
  readonly witnessed: readonly WitnessedHead[];
  /** Keys found on the log; those of `state` are added as they are met. */
  readonly keys: LogKey[];
  /** The only keys that count, when the verifier has some. */
  readonly trusted: readonly LogKey[] | undefined;
  /** An archive cannot contain heads signed after it was made. */
  readonly madeAt: Instant | undefined;
  /** The log says that slots up to this one are not in the store any more. Default: 0. */
  readonly movedUpTo?: number | undefined;
}

/** Hash and position at a slot. */
export interface SlotState {
  readonly hash: string;
  readonly position: Position;
}

/** A head covers one of this many slots before it: signing takes no longer. */
const reach = 4096;

/** Compares signed heads, of the log itself and those kept elsewhere, with the batches that are read. */
export class HeadEvidence {
  readonly #options: HeadsOptions;
  readonly #witnessed: Map<number, WitnessedHead[]>;
  readonly #recent = new Map<number, SlotState>();
  readonly #found = new Map<string, { readonly first: BadSlot; count: number }>();
  #firstSlot = 0;
  #lastSlot = 0;
  #signed = 0;
  #newest: SignedHead | undefined;
  #unsigned = 0;
  #agreed = 0;
  #trimmed = 0;
  #younger = 0;

  constructor(options: HeadsOptions) {
    this.#options = options;
    const own = options.witnessed.filter(({ head }) => head.partition === options.partition);
    this.#witnessed = Map.groupBy(own, ({ head }) => head.slot);
  }

  /** The next good batch. */
  take(batch: Batch): void {
    this.#firstSlot ||= batch.slot;
    this.#lastSlot = batch.slot;
    const position = batch.firstPosition + batch.events.length - 1;
    const state = { hash: batch.hash.toString('hex'), position };
    this.#recent.set(batch.slot, state);
    this.#recent.delete(batch.slot - reach);
    for (const event of batch.events) this.#takeEvent(event, batch.slot);
    for (const one of this.#witnessed.get(batch.slot) ?? []) this.#compareWitnessed(one, state);
  }

  /**
   * To be called behind the last batch. Heads of trimmed slots are compared with `snapshots`, by slot, where
   * there is one.
   * @param whole false after a bad batch: the slots behind it were not read.
   */
  end(whole: boolean, snapshots: ReadonlyMap<number, SlotState>): void {
    for (const [slot, all] of this.#witnessed)
      for (const one of all)
        if (slot < this.#firstSlot) this.#beforeFirst(one, snapshots.get(slot));
        else if (slot > this.#lastSlot && whole) this.#beyondLast(one);
  }

  report(): HeadsReport {
    return {
      signed: this.#signed,
      newest: this.#newest,
      unsigned: this.#unsigned,
      agreed: this.#agreed,
      trimmed: this.#trimmed,
      younger: this.#younger,
    };
  }

  /** The first of each kind; the reason says how many more there are. */
  findings(): BadSlot[] {
    return [...this.#found.values()].map(({ first, count }) =>
      count === 1 ? first : { ...first, reason: `${first.reason} (and ${count - 1} more)` },
    );
  }

  #takeEvent(event: Recorded, slot: number): void {
    if (event.stream === headsStream(this.#options.partition)) {
      this.#takeHead(event, slot);
      return;
    }
    this.#unsigned++;
    if (this.#options.partition === 'state' && event.stream === logKeyStream) this.#takeKey(event, slot);
  }

  #takeKey(event: Recorded, slot: number): void {
    const { keys, trusted } = this.#options;
    const key = logKeyIn(event);
    if (key === undefined) {
      this.#find('key', slot, `position ${event.position} holds no key of the log that this version knows`);
      return;
    }
    keys.push(key);
    if (trusted && !trusted.some(({ publicKey }) => publicKey === key.publicKey))
      this.#find('key', slot, `the log has the key ${key.keyId}, which is not the one that was given`);
  }

  #takeHead(event: Recorded, slot: number): void {
    let head: SignedHead;
    try {
      head = headOf(event);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      this.#find('form', slot, e.message);
      return;
    }
    const fault = this.#signatureFault(head);
    if (fault !== undefined) {
      this.#find('signature', slot, `the head signed at ${head.at} ${fault}`);
      return;
    }
    if (head.partition !== this.#options.partition || head.slot >= slot || head.slot <= slot - reach) {
      this.#find('place', slot, `the head signed at ${head.at} is of slot ${head.slot} of ${head.partition}`);
      return;
    }
    const state = this.#recent.get(head.slot);
    if (state && !agrees(head, state)) {
      this.#find('changed', head.slot, `it is not the batch whose head was signed at ${head.at}`);
      return;
    }
    this.#signed++;
    this.#newest = head;
    this.#unsigned = event.position - 1 - head.position;
  }

  #compareWitnessed(one: WitnessedHead, state: SlotState): void {
    if (!this.#isGood(one)) return;
    if (agrees(one.head, state)) this.#agreed++;
    else
      this.#find(
        'witness changed',
        one.head.slot,
        `it is not the batch whose head was signed at ${one.head.at} (${one.source})`,
      );
  }

  #beforeFirst(one: WitnessedHead, snapshot: SlotState | undefined): void {
    if (!this.#isGood(one)) return;
    if (snapshot) this.#compareWitnessed(one, snapshot);
    else if (isTrimmed(this.#options.partition)) this.#trimmed++;
    else if (one.head.slot <= (this.#options.movedUpTo ?? 0)) this.#trimmed++;
    else
      this.#find(
        'taken away',
        one.head.slot,
        `it is missing, though ${this.#options.partition} is kept whole: its head was signed at ${one.head.at} (${one.source})`,
      );
  }

  #beyondLast(one: WitnessedHead): void {
    const { madeAt, keys, trusted } = this.#options;
    const { head, source } = one;
    if (madeAt !== undefined && head.at > madeAt) {
      this.#younger++;
      return;
    }
    // The key may be gone together with the end of the log.
    const isStrange = checkHead(head, trusted ?? keys) === 'unknown key';
    if (!isStrange && !this.#isGood(one)) return;
    const why = isStrange
      ? `was cut off, or is another (${this.#signatureFault(head) ?? ''})`
      : 'was cut off';
    this.#find(
      'cut',
      this.#lastSlot + 1,
      `it is missing: the log ${why}, slot ${head.slot} with ${head.position} events was signed at ${head.at} (${source})`,
    );
  }

  #isGood({ head, source }: WitnessedHead): boolean {
    const fault = this.#signatureFault(head);
    if (fault !== undefined)
      this.#find('witness signature', head.slot, `the head signed at ${head.at} (${source}) ${fault}`);
    return fault === undefined;
  }

  #signatureFault(head: SignedHead): string | undefined {
    const { keys, trusted } = this.#options;
    const result = checkHead(head, trusted ?? keys);
    if (result === 'good') return undefined;
    if (result === 'bad signature') return 'does not have its signature: it was changed';
    return `names the key ${head.keyId}, which is not ${trusted ? 'the one that was given' : 'on the log'}`;
  }

  #find(kind: string, slot: number, reason: string): void {
    const known = this.#found.get(kind);
    if (known) known.count++;
    else this.#found.set(kind, { first: { partition: this.#options.partition, slot, reason }, count: 1 });
  }
}

const agrees = (head: SignedHead, { hash, position }: SlotState): boolean =>
  head.hash === hash && head.position === position;
