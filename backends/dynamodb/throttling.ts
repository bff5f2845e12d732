const windowSeconds = 30;
/** Heavy: this share of the replies of the window, in this many of its seconds. */
const heavy = { share: 0.3, seconds: 15 };

/** Detects whether the table has throttled heavily for long. `nowMs`: a monotonic clock. */
export class Throttling {
  readonly #nowMs: () => number;
  /** By second: replies, and those that were "throttled". */
  readonly #seconds = new Map<number, { answers: number; throttled: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  answered(throttled: boolean): void {
    const second = Math.floor(this.#nowMs() / 1000);
    const bucket = this.#seconds.get(second) ?? { answers: 0, throttled: 0 };
    bucket.answers++;
    if (throttled) bucket.throttled++;
    this.#seconds.set(second, bucket);
    this.#forget(second);
  }

  /** The effect of throttling now, in words; undefined when there is none, or not for long. */
  trouble(): string | undefined {
    const second = Math.floor(this.#nowMs() / 1000);
    this.#forget(second);
    let [answers, throttled, seconds] = [0, 0, 0];
    for (const bucket of this.#seconds.values()) {
      answers += bucket.answers;
      throttled += bucket.throttled;
      if (bucket.throttled > 0) seconds++;
    }
    if (seconds < heavy.seconds || throttled / answers < heavy.share) return undefined;
    const percent = Math.round((100 * throttled) / answers);
    return (
      `DynamoDB throttles the table: ${percent} % of the calls of the last ${windowSeconds} s ` +
      '(raise its capacity, or make it on demand: billing_mode pay_per_request)'
    );
  }

  #forget(second: number): void {
    for (const old of this.#seconds.keys()) {
      if (old > second - windowSeconds) return;
      this.#seconds.delete(old);
    }
  }
}
