import type { Etcd3 } from 'etcd3';
import { CodedError } from '../../src/base/errors.ts';
import { asCoded, faultOf, needsNewToken, saidBy } from './answers.ts';
import type { Connection } from './connection.ts';
import { callTimeoutMs } from './options.ts';

/** Since the store was opened. */
export interface PeerCounters {
  calls: number;
  /** Calls that one peer did not answer, so that another had to be asked. */
  failovers: number;
  /** Writes whose end was not known: the log settled them. */
  unanswered_writes: number;
}

export type Act<T> = (client: Etcd3, options: { readonly deadline: number }) => Promise<T>;

/** The peers of the cluster: each call goes to the one that answered last, to the others when it is away. */
export class Peers {
  readonly counters: PeerCounters = { calls: 0, failovers: 0, unanswered_writes: 0 };
  /** Longest wait for one answer of one peer. */
  patienceMs = callTimeoutMs;
  readonly #connections: readonly Connection[];
  #preferred = 0;
  #closed = false;

  constructor(connections: readonly Connection[]) {
    this.#connections = connections;
  }

  /**
   * Asks peers until one answers. A write that may have been carried out is not sent to a second one.
   * @throws CodedError: see `asCoded`.
   */
  async call<T>(
    act: Act<T>,
    { writing = false, timeoutMs = this.patienceMs }: { writing?: boolean; timeoutMs?: number } = {},
  ): Promise<T> {
    if (this.#closed) throw new CodedError('unavailable', 'the store is closed');
    this.counters.calls++;
    const failures: string[] = [];
    let last: unknown;
    for (const [index, connection] of this.#inOrder()) {
      const { name } = connection;
      try {
        const answer = await ask(connection, act, Date.now() + timeoutMs);
        this.#preferred = index;
        return answer;
      } catch (e) {
        last = e;
        const fault = faultOf(e);
        if (fault === 'refused') throw asCoded(e, { writing, place: name });
        failures.push(`${name}: ${saidBy(e)}`);
        if (writing && fault === 'unknown') {
          this.counters.unanswered_writes++;
          // The next call begins with another peer: this one may be cut off.
          this.#preferred = (index + 1) % this.#connections.length;
          throw asCoded(e, { writing, place: name });
        }
        this.counters.failovers++;
      }
    }
    throw new CodedError('unavailable', `no peer of etcd answers: ${failures.join('; ')}`, { cause: last });
  }

  /** Each with its index, the one that answered last first. */
  #inOrder(): [number, Connection][] {
    const all = [...this.#connections.entries()];
    return [...all.slice(this.#preferred), ...all.slice(0, this.#preferred)];
  }

  /**
   * Asks every peer, and answers what those said that did.
   * @throws CodedError `unavailable` when none did.
   */
  async all<T>(act: Act<T>): Promise<T[]> {
    const asked = this.#connections.map(({ client }) =>
      act(client, { deadline: Date.now() + this.patienceMs }),
    );
    const answers = await Promise.allSettled(asked);
    const good = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    if (good.length > 0) return good;
    const failures = answers.map((one, i) => {
      const reason = one.status === 'rejected' ? saidBy(one.reason) : '';
      return `${this.#connections[i]?.name ?? ''}: ${reason}`;
    });
    throw new CodedError('unavailable', `no peer of etcd answers: ${failures.join('; ')}`);
  }

  /** For a stream: the peer that answered last, and after `failures` of the stream in a row the ones behind it. None when closed. */
  forStream(failures: number): Connection | undefined {
    if (this.#closed) return undefined;
    return this.#connections[(this.#preferred + failures) % this.#connections.length];
  }

  /** The peer that answered last. */
  preferred(): string {
    return this.#connections[this.#preferred]?.name ?? '';
  }

  close(): void {
    this.#closed = true;
    for (const one of this.#connections) one.close();
  }
}

/** A token that is no longer good is renewed, once a call. */
async function ask<T>(connection: Connection, act: Act<T>, deadline: number): Promise<T> {
  try {
    return await act(connection.client, { deadline });
  } catch (e) {
    if (!needsNewToken(e) || !connection.renewToken()) throw e;
    return act(connection.client, { deadline });
  }
}
