import { type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { tellClient } from '../base/client-of.ts';
import { lookAtConnections, readFirstBytes } from '../base/first-bytes.ts';
import { plainAddress } from '../base/network-of.ts';
import { beginsWithHeader, readHeader } from '../base/proxy-protocol.ts';
import { second } from '../base/time.ts';
import type { HeaderRefusal, RefusedHeaders } from './refused-headers.ts';
import type { ProcessStrangers } from './strangers.ts';

/** A client there may wait for our first words: a header that nobody expects is not waited for. */
const speakFirst: ReadonlySet<string> = new Set(['proxy:ssh']);

/** From accept to the last byte of the header, or to the first of somebody who sends none. */
const usualLimitMs = 10 * second;

export interface HeaderGateDeps {
  /**
   * At this listener a header is due from those addresses, and refused from others; undefined: nothing is
   * looked for.
   */
  readonly dueFrom: (listener: string) => ((ip: string) => boolean) | undefined;
  readonly strangers: Pick<ProcessStrangers, 'enter' | 'comesFrom'>;
  readonly refused: Pick<RefusedHeaders, 'count'>;
  readonly limitMs?: number;
}

interface Arrival {
  readonly listener: string;
  readonly socket: Socket;
  readonly isBalancer: boolean;
  /** Gives it to the service. */
  readonly goOn: () => void;
}

/** What the first bytes of a connection mean: whether to refuse it, or to serve it. */
type Verdict =
  | { readonly is: 'refused'; readonly reason: HeaderRefusal }
  | { readonly is: 'served'; readonly told: 'nothing' }
  | {
      readonly is: 'served';
      readonly told: 'client';
      readonly client: { readonly host: string; readonly port: number } | undefined;
      readonly rest: Buffer;
    };

/**
 * Takes the header of the PROXY protocol off connections before their service sees them: from listed
 * balancers it is due, from anybody else it is refused. A connection that waits for it counts as a stranger.
 */
export class HeaderGate {
  readonly #deps: HeaderGateDeps;
  readonly #waiting = new Set<Duplex>();

  constructor(deps: HeaderGateDeps) {
    this.#deps = deps;
  }

  /** Before it listens. Returns whether the connections of this server pass here. */
  guard(listener: string, server: Server): boolean {
    const dueFrom = this.#deps.dueFrom(listener);
    if (dueFrom === undefined) return false;
    lookAtConnections(server, (connection, goOn) => {
      if (!(connection instanceof Socket)) {
        goOn();
        return;
      }
      const isBalancer = dueFrom(plainAddress(connection.remoteAddress ?? ''));
      this.#arrive({ listener, socket: connection, isBalancer, goOn });
    });
    return true;
  }

  /** Those that still wait for their header are closed: this process ends. */
  cutWaiting(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #arrive(arrival: Arrival): void {
    const { listener, socket, isBalancer, goOn } = arrival;
    this.#deps.strangers.enter(listener, socket);
    // The SSH server itself refuses a header there.
    if (isBalancer || !speakFirst.has(listener)) this.#wait(arrival);
    else goOn();
  }

  /** Whoever leaves without a word is no fault: checks of balancers do so. */
  #wait(arrival: Arrival): void {
    const { listener, socket, isBalancer } = arrival;
    readFirstBytes(socket, {
      read: (first) => verdictOn(first, isBalancer),
      found: (verdict, first) => {
        this.#settle(arrival, verdict, first);
      },
      limitMs: this.#deps.limitMs ?? usualLimitMs,
      late: () => {
        if (isBalancer) this.#deps.refused.count(listener, 'late', socket);
      },
      waiting: this.#waiting,
    });
  }

  #settle(arrival: Arrival, verdict: Verdict, first: Buffer): void {
    const { socket, goOn } = arrival;
    if (verdict.is === 'refused') {
      this.#refuse(arrival, verdict.reason);
      return;
    }
    if (verdict.told === 'client') {
      tellClient(socket, verdict.client);
      if (verdict.client !== undefined) this.#deps.strangers.comesFrom(socket, verdict.client.host);
    }
    const rest = verdict.told === 'client' ? verdict.rest : first;
    if (rest.length > 0) socket.unshift(rest);
    goOn();
  }

  #refuse({ listener, socket }: Arrival, reason: HeaderRefusal): void {
    this.#deps.refused.count(listener, reason, socket);
    socket.destroy();
  }
}

/** Undefined while it takes more to know. */
function verdictOn(first: Buffer, isBalancer: boolean): Verdict | undefined {
  if (!isBalancer) {
    const begins = beginsWithHeader(first);
    if (begins === undefined) return undefined;
    return begins ? { is: 'refused', reason: 'unexpected' } : { is: 'served', told: 'nothing' };
  }
  const reading = readHeader(first);
  switch (reading.status) {
    case 'incomplete':
      return undefined;
    case 'absent':
      return { is: 'refused', reason: 'missing' };
    case 'refused':
      return { is: 'refused', reason: reading.fault };
    case 'found':
      return {
        is: 'served',
        told: 'client',
        client: reading.client,
        rest: first.subarray(reading.bytes),
      };
  }
}
