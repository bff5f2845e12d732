import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { until } from '../harness/run-program.ts';

/** What a party of a forwarded connection does with its socket. */
export type Deed = 'half-closes' | 'closes whole' | 'resets';
/** What its peer does meanwhile: nothing, sends to a reader, or has filled all there is to fill. */
export type Traffic = 'idle' | 'sending' | 'full';
/** What the peer finds out: it has heard all and is heard, its sending fails, or neither in a long time. */
export type Found = 'all goes on' | 'sending fails' | 'hangs';

const piece = Buffer.alloc(16 * 1024, 'x');
const enough = 512 * 1024;
const lastWords = 'last words';
/** A peer of which nothing is heard for so long hangs. */
const hangMs = 8_000;

/** A socket of a program: counts what comes, and goes on sending as fast as it may. */
class Party {
  readonly socket: Socket;
  received = 0;
  tail = '';
  /** Its socket is gone. */
  failed = false;
  #sends: 'no' | 'slowly' | 'fast' = 'no';
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
      this.tail = (this.tail + chunk.toString('latin1')).slice(-lastWords.length);
    });
    socket.on('drain', () => {
      this.#fill();
    });
    socket.on('error', () => (this.failed = true)).on('close', () => (this.failed = true));
  }

  /** `slowly`: a byte now and then. */
  send(how: 'slowly' | 'fast'): void {
    this.#sends = how;
    this.#fill();
  }

  quiet(): void {
    this.#sends = 'no';
    clearTimeout(this.#timer);
  }

  #fill(): void {
    if (this.failed || this.#sends === 'no') return;
    if (this.#sends === 'fast') {
      while (this.socket.write(piece));
      return;
    }
    this.socket.write('.');
    this.#timer = setTimeout(() => {
      this.#fill();
    }, 20);
  }
}

/**
 * Both ends of forwarded connections: a target that listens, and programs that connect to where it is
 * forwarded from.
 */
export class Parties {
  readonly #server: Server;
  readonly #waiting: ((socket: Socket) => void)[] = [];
  readonly #open = new Set<Socket>();

  constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#open.add(socket);
      socket.on('error', () => undefined);
      this.#waiting.shift()?.(socket);
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => {
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  close(): void {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
  }

  /** A new connection through `port`. One at a time: the next that the target gets is its other end. */
  async #meet(port: number): Promise<{ local: Party; target: Party }> {
    const accepted = new Promise<Socket>((resolve) => this.#waiting.push(resolve));
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.#open.add(socket);
    const local = new Party(socket);
    const target = new Party(await accepted);
    local.socket.write('l');
    target.socket.write('t');
    await until('both ends to hear of each other', () =>
      local.received && target.received ? true : undefined,
    );
    return { local, target };
  }

  /** Whether a program that sends without end to a target that refuses and closes gets to hear why. */
  async refusal(port: number): Promise<boolean> {
    const { local, target } = await this.#meet(port);
    local.send('fast');
    await until('traffic', () => (target.received > enough ? true : undefined));
    await act(target.socket, 'closes whole');
    await until('the sending to fail', () => (local.failed ? true : undefined), hangMs);
    return local.tail === lastWords;
  }

  /** What the peer of `side` finds out when that one does `deed`. */
  async trial(port: number, side: 'local' | 'target', deed: Deed, traffic: Traffic): Promise<Found> {
    const both = await this.#meet(port);
    const [actor, peer] = side === 'local' ? [both.local, both.target] : [both.target, both.local];
    if (traffic === 'full') actor.socket.pause();
    if (traffic !== 'idle') peer.send('fast');
    if (traffic === 'sending') await until('traffic', () => (actor.received > enough ? true : undefined));
    if (traffic === 'full') await standstill(peer.socket);
    await act(actor.socket, deed);
    const before = actor.received;
    actor.socket.resume();
    if (traffic === 'idle') peer.send('slowly');
    const wanted = before + (traffic === 'idle' ? 20 : enough);
    const found = await until(
      'an end',
      () => {
        if (peer.failed) return 'sending fails' as const;
        return actor.received > wanted && peer.tail === lastWords ? ('all goes on' as const) : undefined;
      },
      hangMs,
    ).catch(() => 'hangs' as const);
    peer.quiet();
    for (const { socket } of [actor, peer]) socket.destroy();
    return found;
  }
}

/** Resolves when what this socket has written went no further for a while. */
async function standstill(socket: Socket): Promise<void> {
  let [written, since] = [-1, 0];
  await until('all buffers to be full', () => {
    const now = socket.bytesWritten - socket.writableLength;
    if (now !== written) [written, since] = [now, performance.now()];
    return performance.now() - since > 700 ? true : undefined;
  });
}

function act(socket: Socket, deed: Deed): Promise<void> {
  return new Promise((resolve) => {
    if (deed === 'half-closes') socket.end(lastWords, resolve);
    else
      socket.write(lastWords, () => {
        if (deed === 'resets') socket.resetAndDestroy();
        else socket.destroy();
        resolve();
      });
  });
}
