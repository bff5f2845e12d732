import type { Etcd3 } from 'etcd3';
import { CodedError } from '../../src/base/errors.ts';
import type { World } from '../../src/base/world.ts';
import { asCoded, faultOf, needsNewToken, saidBy, unsettled } from './answers.ts';
import type { Connection } from './connection.ts';
import { firstOf } from './hedging.ts';
import { callTimeoutMs, hedgeAfterMs, writeTimeoutMs } from './options.ts';

/** Since the store was opened. */
export interface PeerCounters {
  calls: number;
  /** Calls that one peer did not reply to, so that another had to be asked. */
  failovers: number;
  /** Writes with an unknown outcome: the log settled them. */
  unanswered_writes: number;
}

export type Act<T> = (client: Etcd3, options: { readonly deadline: number }) => Promise<T>;

/** The peers of the cluster: each call goes to the one that replied last, to the others when it is away. */
export class Peers {
  readonly counters: PeerCounters = { calls: 0, failovers: 0, unanswered_writes: 0 };
  /** Longest wait for one reply of one peer. */
  patienceMs = callTimeoutMs;
  /** Until the store is open: see `asCoded`. */
  opening = true;
  /** Called for each peer that did not reply. */
  unanswered: () => void = () => undefined;
  readonly #connections: readonly Connection[];
  #preferred: number;
  #closed = false;

  /** Processes begin with different peers: when one is silent, not all of them wait for it. */
  constructor(connections: readonly Connection[], world: Pick<World, 'randomBytes'>) {
    this.#connections = connections;
    this.#preferred = (world.randomBytes(1)[0] ?? 0) % Math.max(1, connections.length);
  }

  /**
   * For calls that may be carried out twice. When a peer is silent for half a second the next is asked as
   * well, and the first success is used.
   * @throws CodedError: see `asCoded`.
   */
  async call<T>(act: Act<T>): Promise<T> {
    const failures = this.#begin();
    const attempts = this.#inOrder().map(([index, connection]) => ({
      ask: async () => {
        const answer = await ask(connection, act, Date.now() + this.patienceMs);
        this.#preferred = index;
        return answer;
      },
      failed: (e: unknown) => {
        if (isRefused(e)) return asCoded(e, this.#at(connection));
        failures.add(connection, e);
        this.counters.failovers++;
        this.unanswered();
        return undefined;
      },
    }));
    const found = await firstOf(attempts, hedgeAfterMs);
    if (found === undefined) throw this.#nobody(failures);
    return found.answer;
  }

  /**
   * Asks one peer; others only while nothing was sent.
   * @throws UnsettledWrite when it may have been carried out. CodedError, see `asCoded`: proved, it was not.
   */
  async write<T>(act: Act<T>): Promise<T> {
    const failures = this.#begin();
    for (const [index, connection] of this.#inOrder()) {
      try {
        const timeoutMs = Math.min(this.patienceMs, writeTimeoutMs);
        const answer = await askToWrite(connection, act, Date.now() + timeoutMs);
        this.#preferred = index;
        return answer;
      } catch (e) {
        const fault = faultOf(e);
        if (fault === 'answered') throw unsettled(e, this.#at(connection));
        if (fault === 'refused') throw asCoded(e, this.#at(connection));
        if (fault === 'unknown') {
          this.counters.unanswered_writes++;
          this.unanswered();
          // The next call begins with another peer: this one may be cut off.
          this.#preferred = (index + 1) % this.#connections.length;
          throw unsettled(e, this.#at(connection));
        }
        failures.add(connection, e);
        this.counters.failovers++;
      }
    }
    throw this.#nobody(failures);
  }

  /** @throws CodedError `unavailable` */
  #begin(): Failures {
    if (this.#closed) throw closed();
    this.counters.calls++;
    return new Failures();
  }

  #nobody(failures: Failures): CodedError {
    return this.#closed ? closed() : failures.asCoded();
  }

  #at({ name }: Pick<Connection, 'name'>): { place: string; opening: boolean } {
    return { place: name, opening: this.opening };
  }

  /** Each with its index, the one that replied last first. */
  #inOrder(): [number, Connection][] {
    const all = [...this.#connections.entries()];
    return [...all.slice(this.#preferred), ...all.slice(0, this.#preferred)];
  }

  /**
   * Asks every peer, and returns the replies of those that replied.
   * @throws CodedError `unavailable` when none did.
   */
  async all<T>(act: Act<T>): Promise<T[]> {
    const asked = this.#connections.map(({ client }) =>
      act(client, { deadline: Date.now() + this.patienceMs }),
    );
    const answers = await Promise.allSettled(asked);
    const good = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    if (good.length > 0) return good;
    const failures = new Failures();
    for (const [i, one] of answers.entries())
      if (one.status === 'rejected') failures.add(this.#connections[i], one.reason);
    throw this.#nobody(failures);
  }

  /**
   * For a stream: the peer that replied last, and after `failures` of the stream in a row the ones behind it.
   * None when closed.
   */
  forStream(failures: number): Connection | undefined {
    if (this.#closed) return undefined;
    return this.#connections[(this.#preferred + failures) % this.#connections.length];
  }

  /** The peer that replied last. */
  preferred(): string {
    return this.#connections[this.#preferred]?.name ?? '';
  }

  close(): void {
    this.#closed = true;
    for (const one of this.#connections) one.close();
  }
}

/** Of the peers that were asked in one call. */
class Failures {
  readonly #texts: string[] = [];
  #last: unknown;

  add(connection: Connection | undefined, e: unknown): void {
    this.#texts.push(`${connection?.name ?? ''}: ${saidBy(e)}`);
    this.#last = e;
  }

  asCoded(): CodedError {
    return new CodedError('unavailable', `no peer of etcd answers: ${this.#texts.join('; ')}`, {
      cause: this.#last,
    });
  }
}

const closed = (): CodedError => new CodedError('unavailable', 'the store is closed');

const isRefused = (e: unknown): boolean => ['refused', 'answered'].includes(faultOf(e));

/** A token that is not valid any more is renewed, once per call. */
async function ask<T>(connection: Connection, act: Act<T>, deadline: number): Promise<T> {
  try {
    return await act(connection.client, { deadline });
  } catch (e) {
    if (!needsNewToken(e) || !connection.renewToken()) throw e;
    return act(connection.client, { deadline });
  }
}

/** The same for a write: a second attempt that proves nothing about itself proves nothing about the first. */
async function askToWrite<T>(connection: Connection, act: Act<T>, deadline: number): Promise<T> {
  let first: unknown;
  const remembering: Act<T> = async (client, options) => {
    try {
      return await act(client, options);
    } catch (e) {
      first ??= e;
      throw e;
    }
  };
  try {
    return await ask(connection, remembering, deadline);
  } catch (e) {
    throw faultOf(e) !== 'unknown' && faultOf(first) === 'answered' ? first : e;
  }
}
