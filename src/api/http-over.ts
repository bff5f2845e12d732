import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** HTTP/1.1 over connections that `dial` opens. */
export interface HttpClient {
  /**
   * Resolves when the head of the answer is there.
   * Rejects with what `dial` threw when nothing was sent, or with a `LostAnswer`.
   */
  send(request: HttpRequest): Promise<IncomingMessage>;
  /** Connections that nobody uses are not trusted any more: the next request dials anew. */
  forgetIdle(): void;
  close(): void;
}

/** The request may have reached the server; what became of it is not known. */
export class LostAnswer extends Error {
  override readonly name = 'LostAnswer';
}

/**
 * Longer than from heartbeat to heartbeat: a handshake for each would be most of what thousands of hosts cost. A client gives
 * an idle connection up before a server (which waits 150 s) does, so that no request meets the closing.
 */
const idleMs = 90_000;

class DialingAgent extends Agent {
  readonly #dial: (signal: AbortSignal) => Promise<Duplex>;
  readonly #closed = new AbortController();
  constructor(dial: (signal: AbortSignal) => Promise<Duplex>, keepAlive: boolean) {
    super({ keepAlive, timeout: idleMs, maxSockets: 64 });
    this.#dial = dial;
  }
  override createConnection(
    _options: ClientRequestArgs,
    callback?: (err: Error | null, stream: Duplex) => void,
  ): undefined {
    this.#dial(this.#closed.signal).then(
      (stream) => callback?.(null, stream),
      (e: unknown) => {
        const error = e instanceof Error ? e : new Error(String(e));
        // Node's type wants a stream even beside an error.
        callback?.(error, undefined as unknown as Duplex);
      },
    );
  }
  forgetIdle(): void {
    for (const sockets of Object.values(this.freeSockets))
      for (const socket of sockets ?? []) socket.destroy();
  }
  override destroy(): void {
    this.#closed.abort();
    super.destroy();
  }
}

export function httpOver(dial: (signal: AbortSignal) => Promise<Duplex>, keepAlive: boolean): HttpClient {
  const agent = new DialingAgent(dial, keepAlive);
  return {
    send: (wanted) =>
      new Promise((resolve, reject) => {
        const { method, path, body, headers, signal } = wanted;
        const outgoing = request({
          agent,
          method,
          path,
          signal,
          headers: {
            host: 'teleport.cluster.local',
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
            ...headers,
          },
        });
        // The agent's idle limit is for idle connections: a slow answer is the caller's to judge.
        outgoing.on('timeout', () => undefined);
        outgoing.on('response', resolve);
        outgoing.on('error', (e) => {
          reject(e instanceof CodedError ? e : new LostAnswer(messageOf(e), { cause: e }));
        });
        outgoing.end(body);
      }),
    forgetIdle: () => {
      agent.forgetIdle();
    },
    close: () => {
      agent.destroy();
    },
  };
}
