/**
 * How much a peer may send on one channel before it is read here, which is the most we hold for it.
 * Source: RFC 4254, 5.2.
 */
export interface ReceiveWindow {
  /** Bytes that may be on their way or unread, now. */
  readonly bytes: number;
  /**
   * Half of it was read: returns the next size, larger or smaller.
   * @param held bytes that were granted and are not read yet. The result is never less.
   */
  renew(held: number): number;
  /** The peer can send nothing more; this many bytes of what it sent are still unread. */
  keep(held: number): void;
  /** Nothing more is sent either: the channel is closed on our side. */
  close(): void;
}

/** Always the same. For clients, which choose their servers. */
export const fixedWindow = (bytes: number): ReceiveWindow => ({
  bytes,
  renew: () => bytes,
  keep: () => undefined,
  close: () => undefined,
});

/** All in bytes. */
export interface WindowLimits {
  /** The first window of a channel; it doubles as often as it was read. */
  readonly first: number;
  /** The largest window, where there is memory for it. */
  readonly most: number;
  /** The most that a channel may have waiting to be sent: counted with it, available to no other. */
  readonly outgoing: number;
  /** Of one connection, all channels together. */
  readonly perConnection: number;
  /** From here on windows of a connection no longer grow: the rest is for opening further channels. */
  readonly growth: number;
  /** Of all connections together. */
  readonly inAll: number;
  /** This many channels of each connection are opened even when nothing is left in all. */
  readonly assured: number;
}

const [kib, mib] = [1024, 1024 * 1024];

/**
 * @param memory of the machine or container.
 * @param most window of a channel.
 */
export const windowLimits = (memory: number, most: number): WindowLimits => ({
  first: Math.min(64 * kib, most),
  most,
  outgoing: 128 * kib,
  perConnection: Math.max(192 * mib, 8 * most),
  growth: Math.max(96 * mib, 4 * most),
  inAll: Math.max(64 * mib, Math.floor(memory / 4)),
  assured: 8,
});

/** Above this share of the total, windows do not grow any more, and those that are read shrink. */
const tight = 7 / 8;

/**
 * The memory of all channels of a server. A channel begins with little, so that many that nobody reads cost
 * little; one that is read grows until its connection has its share or the total is used up.
 */
export class WindowPool {
  readonly limits: WindowLimits;
  #held = 0;

  constructor(limits: WindowLimits) {
    this.limits = limits;
  }

  /** By all connections, in bytes. */
  get held(): number {
    return this.#held;
  }

  get isTight(): boolean {
    return this.#held > this.limits.inAll * tight;
  }

  /** The part of one connection. */
  connection(): ConnectionWindows {
    return new ConnectionWindows(this, (change) => {
      this.#held += change;
    });
  }
}

/** The memory of one connection's channels. */
export class ConnectionWindows {
  readonly #pool: WindowPool;
  readonly #count: (change: number) => void;
  #held = 0;
  #channels = 0;

  constructor(pool: WindowPool, count: (change: number) => void) {
    this.#pool = pool;
    this.#count = count;
  }

  get held(): number {
    return this.#held;
  }

  /** A window for a new channel; undefined when it would be too much. */
  open(): ReceiveWindow | undefined {
    const { first, outgoing, assured, inAll, perConnection } = this.#pool.limits;
    const cost = first + outgoing;
    if (this.#held + cost > perConnection) return undefined;
    if (this.#pool.held + cost > inAll && this.#channels >= assured) return undefined;
    this.#channels++;
    this.#change(cost);
    let bytes = first;
    let isOpen = true;
    const become = (wanted: number): number => {
      this.#change(wanted - bytes);
      bytes = wanted;
      return bytes;
    };
    return {
      get bytes() {
        return bytes;
      },
      renew: (held) => become(Math.max(held, this.#sizeAfter(bytes))),
      keep: (held) => {
        become(held);
      },
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#channels--;
        this.#change(-outgoing);
      },
    };
  }

  /** Twice as much where there is memory; half where nearly all is used up. */
  #sizeAfter(bytes: number): number {
    const { first, most, growth } = this.#pool.limits;
    if (this.#pool.isTight) return Math.max(first, Math.floor(bytes / 2));
    const wanted = Math.min(most, bytes * 2);
    return this.#held + wanted - bytes > growth ? bytes : wanted;
  }

  #change(bytes: number): void {
    this.#held += bytes;
    this.#count(bytes);
  }
}
