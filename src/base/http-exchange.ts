import { type IncomingMessage, request } from 'node:http';
import { dialOut, type Outlet, placeOf } from './dial-out.ts';
import { requestHttps, type ServerCheck } from './dial-tls.ts';
import { CodedError } from './errors.ts';

/** One request to somebody else's web server. */
export interface HttpAsk {
  /** `http:` or `https:`. */
  readonly url: URL;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
  /** Longer responses are not read. */
  readonly maxAnswerBytes: number;
  /** Of `https:`. */
  readonly check: ServerCheck;
  /** By what it leaves this machine. Default: directly. */
  readonly outlet?: Outlet | undefined;
  /** The certificate of the client, where the server requires one. PEM. */
  readonly client?: { readonly key: string | Buffer; readonly cert: string | Buffer } | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Sends the request and reads the response to its end, whatever its status. Follows no redirection. Rejects
 * with the error of the connection, or with a CodedError `unavailable` when the response is too long.
 */
export async function exchange(ask: HttpAsk): Promise<HttpAnswer> {
  const { url, method, headers, body, signal } = ask;
  const options = {
    method,
    signal,
    headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
  };
  const { outlet } = ask;
  const over = outlet?.through === undefined ? undefined : await dialOut(placeOf(url), outlet, signal);
  return new Promise((resolve, reject) => {
    const outgoing =
      url.protocol === 'https:'
        ? requestHttps(url, { ...options, ...ask.client }, ask.check, over)
        : request(url, {
            ...options,
            ...(over === undefined ? { agent: false } : { createConnection: () => over }),
          });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      collect(response, ask.maxAnswerBytes).then((text) => {
        resolve({ status: response.statusCode ?? 0, text });
      }, reject);
    });
    outgoing.end(body);
  });
}

async function collect(response: IncomingMessage, maxBytes: number): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maxBytes) throw new CodedError('unavailable', 'the answer is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
