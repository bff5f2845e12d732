import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';
import { silentAfterMs, watchBeats } from './beats.ts';
import { NoAnswerInTime } from './no-answer.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Called when there is a connection, and the request is sent on it. */
  readonly onConnection?: (() => void) | undefined;
}

/** HTTP/1.1 over connections that `dial` opens. */
export interface HttpClient {
  /**
   * Resolves when the head of the response has arrived. Rejects with the error of `dial` when nothing was
   * sent, or with a `LostAnswer`.
   */
  send(request: HttpRequest): Promise<IncomingMessage>;
  /**
   * The server at the other end of this connection does not serve now: others are dialled before it. Idle
   * connections are not trusted any more: the next request dials.
   * @param stream of the request that failed; undefined: of the server that was dialled last.
   */
  leave(stream: Duplex | undefined): void;
  /** Later requests dial; current ones end on their connection, which then closes. */
  dialAgain(): void;
  /** Connections that are open and take further requests, or bring an answer without an end. */
  open(): readonly Duplex[];
  close(): void;
}

/** The request may have reached the server; its outcome is not known. */
export class LostAnswer extends Error {
  override readonly name = 'LostAnswer';
  /** The connection on which the request was sent. */
  readonly stream: Duplex | undefined;
  constructor(message: string, options?: ErrorOptions & { readonly stream?: Duplex | undefined }) {
    super(message, options);
    this.stream = options?.stream;
  }
}

/**
 * Longer than the time between heartbeats: a handshake for each would be most of the cost of thousands of
 * hosts. A client gives an idle connection up before a server (which waits 150 s) does, so that no request
 * meets the closing.
 */
const idleMs = 90_000;

class DialingAgent extends Agent {
  readonly #dial: (signal: AbortSignal) => Promise<Duplex>;
  readonly #closed = new AbortController();
  /** Connections that must not be used for another request. */
  readonly #outdated = new WeakSet<Duplex>();
  #open = new Set<Duplex>();
  constructor(dial: (signal: AbortSignal) => Promise<Duplex>, keepAlive: boolean) {
    super({ keepAlive, timeout: idleMs, maxSockets: 64 });
    this.#dial = dial;
    // After the agent's own listener, which gives the connection to a waiting request, or keeps it.
    this.on('free', (stream: Duplex) => {
      const isKept = Object.values(this.freeSockets).some((kept) => kept?.some((one) => one === stream));
      if (isKept && this.#outdated.has(stream)) stream.destroy();
    });
  }
  override createConnection(
    _options: ClientRequestArgs,
    callback?: (err: Error | null, stream: Duplex) => void,
  ): undefined {
    const open = this.#open;
    this.#dial(this.#closed.signal).then(
      (stream) => {
        // A connection dialled before the change counts as outdated, however long its handshake took.
        if (open === this.#open) open.add(stream);
        else this.#outdated.add(stream);
        stream.once('close', () => open.delete(stream));
        callback?.(null, stream);
      },
      (e: unknown) => {
        const error = e instanceof Error ? e : new Error(String(e));
        // Node's type requires a stream even beside an error.
        callback?.(error, undefined as unknown as Duplex);
      },
    );
  }
  outdateAll(): void {
    for (const stream of this.#open) this.#outdated.add(stream);
    this.#open = new Set();
    this.forgetIdle();
  }
  openNow(): readonly Duplex[] {
    return [...this.#open];
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

/** Opens a connection to a server. */
export interface HttpDial {
  (signal: AbortSignal): Promise<Duplex>;
  passOver(stream?: Duplex): void;
}

export function httpOver(dial: HttpDial, keepAlive: boolean): HttpClient {
  const agent = new DialingAgent(dial, keepAlive);
  return {
    send: (wanted) =>
      new Promise((resolve, reject) => {
        const { method, path, body, headers, signal, onConnection } = wanted;
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
        // The agent's idle limit is for idle connections: the caller decides how long a response may take.
        outgoing.on('timeout', () => undefined);
        if (onConnection !== undefined) outgoing.once('socket', onConnection);
        let silence: NoAnswerInTime | undefined;
        watchBeats(outgoing, () => {
          silence = new NoAnswerInTime(`no sign of life for ${silentAfterMs} ms`);
          outgoing.destroy(silence);
        });
        outgoing.on('response', resolve);
        outgoing.on('error', (e) => {
          const lost = silence ?? (e instanceof CodedError ? undefined : e);
          reject(
            lost === undefined
              ? e
              : new LostAnswer(messageOf(lost), { cause: lost, stream: outgoing.socket ?? undefined }),
          );
        });
        outgoing.end(body);
      }),
    leave: (stream) => {
      dial.passOver(stream);
      agent.forgetIdle();
    },
    dialAgain: () => {
      agent.outdateAll();
    },
    open: () => agent.openNow(),
    close: () => {
      agent.destroy();
    },
  };
}
