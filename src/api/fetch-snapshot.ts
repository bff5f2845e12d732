import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { startTimer } from '../base/timers.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import { NoAnswerInTime } from './no-answer.ts';

/** A server that sends nothing for this long has gone. However long all of it takes does not matter. */
const silentMs = 60_000;
/** Of what a body unfolds to: as long as a text can be. */
const mostBytes = 512 * 1024 * 1024;

export type Get = (
  path: string,
  signal: AbortSignal,
  headers?: Readonly<Record<string, string>>,
) => Promise<IncomingMessage>;

/** The part of an answer that has arrived. */
interface Part {
  readonly etag: string;
  readonly encoding: string | undefined;
  readonly chunks: Buffer[];
  bytes: number;
}

export interface Fetched {
  readonly status: number;
  readonly body: string;
}

const unfold = promisify(gunzip);

/** Asks for one thing until it is there as a whole: what has arrived before a connection broke is kept. */
export class Fetching {
  readonly #path: string;
  readonly #get: Get;
  #part: Part | undefined;

  constructor(path: string, get: Get) {
    this.#path = path;
    this.#get = get;
  }

  /**
   * One attempt.
   * @param onAnswer is told of the response once its head is there.
   * @throws NoAnswerInTime; what `get` throws; the error of a connection that breaks.
   */
  async attempt(closed: AbortSignal, onAnswer: (response: IncomingMessage) => void): Promise<Fetched> {
    const silent = new AbortController();
    const timer = startTimer(() => {
      silent.abort();
    }, silentMs);
    try {
      const signal = AbortSignal.any([closed, silent.signal]);
      const response = await this.#get(this.#path, signal, this.#headers());
      onAnswer(response);
      const status = response.statusCode ?? 0;
      const part = this.#partFor(response);
      for await (const chunk of response as AsyncIterable<Buffer>) {
        timer.restart();
        part.chunks.push(chunk);
        part.bytes += chunk.length;
      }
      this.#part = undefined;
      return { status: status === 206 ? 200 : status, body: await textOf(part) };
    } catch (e) {
      if (silent.signal.aborted)
        throw new NoAnswerInTime(`the auth server was silent for ${silentMs} ms`, { cause: e });
      throw e;
    } finally {
      timer.stop();
    }
  }

  #headers(): Readonly<Record<string, string>> {
    const part = this.#part;
    return {
      'accept-encoding': 'gzip',
      ...(part !== undefined && { range: `bytes=${part.bytes}-`, 'if-range': part.etag }),
    };
  }

  /** Where what comes goes: behind what is there, when the server continues that. */
  #partFor({ statusCode, headers }: IncomingMessage): Part {
    const before = this.#part;
    if (statusCode === 206 && before !== undefined && headers.etag === before.etag) {
      const from = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1];
      if (Number(from) === before.bytes) return before;
    }
    if (statusCode === 206) {
      this.#part = undefined;
      throw new CodedError('unavailable', 'the auth server continues another answer than the one that broke');
    }
    const part: Part = {
      etag: headers.etag ?? '',
      encoding: headers['content-encoding'],
      chunks: [],
      bytes: 0,
    };
    this.#part = statusCode === 200 && part.etag !== '' ? part : undefined;
    return part;
  }
}

async function textOf({ chunks, encoding }: Part): Promise<string> {
  const bytes = Buffer.concat(chunks);
  if (encoding !== 'gzip') return bytes.toString();
  try {
    return (await unfold(bytes, { maxOutputLength: mostBytes })).toString();
  } catch (e) {
    throw new CodedError('unavailable', `an answer that cannot be read: ${messageOf(e)}`, { cause: e });
  }
}
