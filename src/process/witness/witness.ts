import { backoffMs, pause, randomFraction } from '../../base/backoff.ts';
import { messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { minute, second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import type { Witnesses, WitnessLine, WitnessReport } from '../../log/signed-head-witness.ts';
import { type WitnessTarget, witnessTarget } from './witness-target.ts';

export interface WitnessEnvironment {
  readonly sink: LogSink;
  readonly world: World;
  readonly metrics: Metrics;
  /** Waits between two attempts; for tests. */
  readonly wait?: (ms: number, stopping: AbortSignal) => Promise<void>;
}

const maxWaiting = 256;
const noticeAttempts = 5;
const retry = { baseMs: second, maxMs: minute };

/** @throws CodedError `misconfigured` for an invalid target. */
export const openWitnesses = (targets: readonly string[], env: WitnessEnvironment): Witnesses =>
  witnessesOf(targets.map(witnessTarget), env);

/**
 * Sends each head to each target, in order, and retries until it is accepted. A target that is away delays no
 * other.
 */
export function witnessesOf(targets: readonly WitnessTarget[], env: WitnessEnvironment): Witnesses {
  const queues = targets.map((target) => new WitnessQueue(target, env));
  return {
    send: (head) => {
      for (const queue of queues) queue.send(head);
    },
    report: () => queues.map((queue) => queue.report()),
    close: async () => {
      await Promise.all(queues.map((queue) => queue.close()));
    },
  };
}

class WitnessQueue {
  readonly #target: WitnessTarget;
  readonly #env: WitnessEnvironment;
  readonly #stopping = new AbortController();
  readonly #waiting: WitnessLine[] = [];
  #running: Promise<void> | undefined;
  #sent = 0;
  #dropped = 0;
  #lastSentAt: string | undefined;
  #failing: WitnessReport['failing'];

  constructor(target: WitnessTarget, env: WitnessEnvironment) {
    this.#target = target;
    this.#env = env;
    this.#show();
  }

  send(head: WitnessLine): void {
    if (this.#stopping.signal.aborted) return;
    this.#waiting.push(head);
    if (this.#waiting.length > maxWaiting) this.#dropOne(head);
    this.#show();
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  report(): WitnessReport {
    return {
      target: this.#target.place,
      sent: this.#sent,
      waiting: this.#waiting.length,
      dropped: this.#dropped,
      lastSentAt: this.#lastSentAt,
      failing: this.#failing,
    };
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /**
   * Drops the oldest of the same partition: a newer head covers everything before it. The first is being
   * sent.
   */
  #dropOne({ partition }: WitnessLine): void {
    this.#waiting.splice(
      this.#waiting.findIndex((one, i) => i > 0 && one.partition === partition),
      1,
    );
    this.#dropped++;
    this.#env.metrics.add('witness_heads_dropped_total', 1, { target: this.#target.place });
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const wait = this.#env.wait ?? pause;
    let attempt = 0;
    for (let head = this.#waiting[0]; head !== undefined && !signal.aborted; head = this.#waiting[0]) {
      if (await this.#deliver(head)) {
        this.#waiting.shift();
        attempt = 0;
      } else {
        attempt++;
        // A collector that accepts only heads must not block those that follow.
        if ('notice' in head && attempt >= noticeAttempts && this.#waiting.length > 1) {
          this.#waiting.push(...this.#waiting.splice(0, 1));
          attempt = 0;
          continue;
        }
        await wait(backoffMs(attempt, retry.baseMs, retry.maxMs, randomFraction(this.#env.world)), signal);
      }
      this.#show();
    }
  }

  async #deliver(head: WitnessLine): Promise<boolean> {
    const { world, sink } = this.#env;
    const target = this.#target.place;
    try {
      await this.#target.deliver(head, this.#stopping.signal);
    } catch (e) {
      if (!this.#stopping.signal.aborted) this.#fail(messageOf(e));
      return false;
    }
    this.#sent++;
    this.#lastSentAt = world.now();
    this.#env.metrics.add('witness_heads_sent_total', 1, { target });
    if (this.#failing) sink.info('a witness takes signed heads again', { target });
    this.#failing = undefined;
    return true;
  }

  #fail(reason: string): void {
    const { world, sink, metrics } = this.#env;
    const target = this.#target.place;
    metrics.add('witness_failures_total', 1, { target });
    if (this.#failing === undefined)
      sink.warn('a witness does not take signed heads: they wait, and are sent again', { target, reason });
    this.#failing = { since: this.#failing?.since ?? world.now(), reason };
  }

  #show(): void {
    const labels = { target: this.#target.place };
    this.#env.metrics.set('witness_waiting_heads', this.#waiting.length, labels);
    this.#env.metrics.set('witness_failing', this.#failing ? 1 : 0, labels);
  }
}
