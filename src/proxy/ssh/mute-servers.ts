import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { formatHostPort, type HostPort } from '../../base/service.ts';

/** A server that is alive greets in less time. */
const muteAfterMs = 400;

/**
 * Which servers accept connections and send nothing on them, as a stopped one does. The proxy cannot read
 * what a client sends through it, but it sees whether anything comes back.
 */
export class MuteServers {
  /** When each connection was made on which nothing has come back yet. */
  readonly #waiting = new Map<string, Map<Socket, number>>();
  readonly #monotonic: () => number;

  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
  }

  /** The same servers, with those last for which a client waits in vain. */
  last(servers: readonly HostPort[]): readonly HostPort[] {
    const speaking = servers.filter((server) => !this.#isMute(server));
    return [...speaking, ...servers.filter((server) => !speaking.includes(server))];
  }

  /** Remembers a connection that was just made. */
  watch(server: HostPort, stream: Duplex): Duplex {
    if (!(stream instanceof Socket)) return stream;
    const name = formatHostPort(server);
    const waiting = this.#waiting.get(name) ?? new Map<Socket, number>();
    this.#waiting.set(name, waiting);
    waiting.set(stream, this.#monotonic());
    stream.once('close', () => waiting.delete(stream));
    return stream;
  }

  #isMute(server: HostPort): boolean {
    const waiting = this.#waiting.get(formatHostPort(server)) ?? new Map<Socket, number>();
    for (const socket of waiting.keys()) if (socket.bytesRead > 0) waiting.delete(socket);
    // A client that has sent nothing itself waits for nothing.
    return [...waiting].some(
      ([socket, since]) => socket.bytesWritten > 0 && this.#monotonic() - since > muteAfterMs,
    );
  }
}
