import { type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { clientOf, endsOf, type Ends } from './client-of.ts';
import { lookAtConnections, readFirstBytes } from './first-bytes.ts';
import { HandshakeLine, type HandshakePlaces } from './handshake-line.ts';
import type { LogSink } from './log-sink.ts';
import { networkOf } from './network-of.ts';
import { seldom } from './seldom.ts';
import type { Metrics } from './service.ts';
import { second } from './time.ts';
import { startTimer, stopTimer, type Timer } from './timers.ts';

export interface HandshakeLimits extends HandshakePlaces {
  /** From the first byte to the last of what a client begins with. */
  readonly helloMs: number;
  /** A handshake that has taken so long gives its place back: its client is slow, or says nothing. */
  readonly placeMs: number;
}

/**
 * A handshake takes some milliseconds of a core: 64 are done within a second on a slow one. Clients of the
 * release before give up 5 s after they have connected.
 */
const usual: HandshakeLimits = {
  underWay: 64,
  waiting: 1_024,
  waitMs: 3 * second,
  helloMs: 10 * second,
  placeMs: second,
};

/**
 * While others wait, so many turns of the loop are between two that begin. The runtime takes one connection
 * from the kernel in each turn: they would wait there, where nobody turns them away.
 */
const turnsBetween = 8;

/** A client sends one record, or two, before it gets an answer. */
const mostUnread = 16 * 1024;

/**
 * A fatal alert, which a client may get before anything else: the server gives the handshake up for a reason
 * that has nothing to do with the protocol. Source: RFC 8446, 5.1, 6 and 6.1 (user_canceled).
 */
export const turnedAwayAlert = Buffer.from([0x15, 3, 3, 0, 2, 2, 90]);

export interface HandshakeGateDeps {
  /** What the names of its metrics begin with: `auth`. */
  readonly name: string;
  readonly metrics: Metrics;
  readonly sink: Pick<LogSink, 'warn' | 'debug'>;
  /** In milliseconds. */
  readonly monotonic: () => number;
  readonly limits?: Partial<HandshakeLimits>;
}

type Outcome = 'begun' | 'done' | 'failed' | 'slow' | 'turned_away' | 'left';

type Connection = Duplex & Ends;

/** A connection whose client has begun, from then until its handshake is over. */
interface Arrival {
  readonly connection: Connection;
  /** The same for the TLS on it. */
  readonly ends: string;
  readonly goOn: () => void;
  /** All that has come of it, which nobody has looked at. */
  unread: Buffer;
  /** Until it has waited too long; then until it has taken too long. */
  timer: Timer | undefined;
  /** Takes off what listens to it while it waits. */
  settle: () => void;
}

/**
 * Bounds the TLS handshakes that a server computes at the same time. Who comes beyond that waits unread, and
 * is turned away by an alert, before anything was computed, when there is no turn for it in time. A client
 * that leaves while it waits costs nothing either. A connection gets into the line once its client has begun,
 * so that who says nothing takes no place; and who does not go on holds a place for a second.
 *
 * To be called after TLS is set up and before whatever is to see connections earlier. Connections from
 * within this process pass.
 * @returns a function that closes the connections that wait: the server does not know them.
 */
export function boundHandshakes(server: Server, deps: HandshakeGateDeps): { cutWaiting(): void } {
  const gate = new HandshakeGate(deps);
  lookAtConnections(server, (connection, goOn) => {
    gate.arrive(connection, goOn);
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    gate.over(socket, 'done');
  });
  server.on('tlsClientError', (_e: Error, socket: TLSSocket) => {
    gate.over(socket, 'failed');
  });
  return gate;
}

class HandshakeGate {
  readonly #deps: HandshakeGateDeps;
  readonly #limits: HandshakeLimits;
  readonly #line: HandshakeLine<Arrival>;
  readonly #waiting = new Set<Duplex>();
  readonly #begun = new Map<string, Arrival>();
  readonly #warn: ReturnType<typeof seldom>;
  #turning = false;
  #turns = 0;

  constructor(deps: HandshakeGateDeps) {
    this.#deps = deps;
    this.#limits = { ...usual, ...deps.limits };
    this.#line = new HandshakeLine(this.#limits);
    this.#warn = seldom(deps.sink, deps.monotonic, 'nowhere');
  }

  arrive(connection: Connection, goOn: () => void): void {
    const ends = endsOf(connection);
    if (ends === undefined) {
      // From within this process; of one that has closed there is nothing to answer.
      if (!(connection instanceof Socket)) goOn();
      return;
    }
    readFirstBytes(connection, {
      read: firstRecord,
      found: (_meaning, first) => {
        this.#wait({ connection, ends, goOn, unread: first, timer: undefined, settle: () => undefined });
      },
      limitMs: this.#limits.helloMs,
      waiting: this.#waiting,
    });
  }

  /** The handshake on it has ended. */
  over(socket: Ends, outcome: 'done' | 'failed'): void {
    const arrival = this.#begun.get(endsOf(socket) ?? '');
    if (arrival !== undefined) this.#end(arrival, outcome);
  }

  cutWaiting(): void {
    for (const connection of this.#waiting) connection.destroy();
  }

  #wait(arrival: Arrival): void {
    const { connection } = arrival;
    const network = networkOf(clientOf(connection).address?.host ?? '');
    const onReadable = (): void => {
      // Until it is read nobody learns that the client has left.
      if (arrival.unread.length > mostUnread) return;
      const more = connection.read() as Buffer | null;
      if (more !== null) arrival.unread = Buffer.concat([arrival.unread, more]);
    };
    const onLeft = (): void => {
      arrival.settle();
      this.#line.leave(arrival);
      this.#count('left');
      connection.destroy();
    };
    arrival.settle = (): void => {
      stopTimer(arrival.timer);
      this.#waiting.delete(connection);
      connection.off('readable', onReadable).off('end', onLeft).off('error', onLeft).off('close', onLeft);
    };
    connection.on('readable', onReadable).on('end', onLeft).on('error', onLeft).on('close', onLeft);
    this.#waiting.add(connection);
    arrival.timer = startTimer(() => {
      this.#line.leave(arrival);
      this.#turnAway(arrival);
    }, this.#limits.waitMs);
    const out = this.#line.enter(arrival, network);
    if (out !== undefined) this.#turnAway(out);
    this.#turn();
  }

  #turnAway(arrival: Arrival): void {
    const { connection } = arrival;
    arrival.settle();
    this.#count('turned_away');
    this.#warn('more clients come at once than this server can answer: some are told to come back later', {
      waiting: this.#line.waiting,
      underWay: this.#line.underWay,
    });
    connection.on('error', () => connection.destroy());
    connection.end(turnedAwayAlert, () => connection.destroy());
  }

  /** In another turn of the loop, so that it is known by then who has left. */
  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      this.#begin();
    });
  }

  #begin(): void {
    const isCrowded = this.#line.waiting > this.#limits.underWay;
    if (!isCrowded || ++this.#turns >= turnsBetween) {
      this.#turns = 0;
      const next = this.#line.next(this.#deps.monotonic());
      // Whoever gives a place back brings the next turn.
      if (next === undefined) return;
      this.#serve(next);
    }
    if (this.#line.waiting > 0) this.#turn();
  }

  #serve(arrival: Arrival): void {
    const { connection, ends } = arrival;
    arrival.settle();
    this.#count('begun');
    this.#begun.set(ends, arrival);
    arrival.timer = startTimer(() => {
      this.#count('slow');
      this.#line.givePlaceBack(arrival);
      this.#turn();
    }, this.#limits.placeMs);
    connection.once('close', () => {
      if (this.#begun.get(ends) === arrival) this.#end(arrival, 'failed');
    });
    connection.unshift(arrival.unread);
    arrival.unread = Buffer.alloc(0);
    arrival.goOn();
  }

  #end(arrival: Arrival, outcome: 'done' | 'failed'): void {
    stopTimer(arrival.timer);
    this.#begun.delete(arrival.ends);
    this.#line.leave(arrival);
    this.#count(outcome);
    this.#turn();
  }

  #count(outcome: Outcome): void {
    const { metrics, name } = this.#deps;
    metrics.add(`${name}_handshakes_total`, 1, { outcome });
    metrics.set(`${name}_handshakes_waiting`, this.#line.waiting);
  }
}

const handshakeRecord = 0x16;
const recordHeader = 5;

/**
 * Whether the first record is there as a whole, or it is no TLS; undefined while more has to come. What it
 * says is for TLS to judge. Source: RFC 8446, 5.1.
 */
function firstRecord(first: Buffer): 'whole' | 'other' | undefined {
  if (first[0] !== undefined && first[0] !== handshakeRecord) return 'other';
  if (first.length < recordHeader) return undefined;
  const length = first.readUInt16BE(3);
  if (length > mostUnread) return 'other';
  return first.length >= recordHeader + length ? 'whole' : undefined;
}
