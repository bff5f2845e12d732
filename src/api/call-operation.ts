import type { Duplex } from 'node:stream';
import { backoffMs, pause } from '../base/backoff.ts';
import { CodedError, type ErrorCode, isCoded, messageOf } from '../base/errors.ts';
import { signalAfter } from '../base/timers.ts';
import type { World } from '../base/world.ts';
import type { Position } from '../log/event.ts';
import { DoneUnheard } from './done-unheard.ts';
import { type HttpClient, LostAnswer } from './http-over.ts';
import { NoAnswerInTime } from './no-answer.ts';
import type { InputOf, Operation, OutputOf } from './operation.ts';
import { readRequestOutcome } from './operations/log.ts';
import { errorOfAnswer, isAnswer, issuesOf, jsonOrUndefined } from './wire-errors.ts';

export interface CallOptions {
  /** Longest wait for one server's response. */
  readonly timeoutMs: number;
  /** A longer response is not read to its end: for servers that nobody has verified. Default: no limit. */
  readonly maxAnswerBytes?: number;
  /**
   * When the response to an operation that is not repeatable is lost, the servers are asked for its outcome.
   */
  readonly askAfter?: true;
  /**
   * How many times a repeatable operation is sent if its response is lost. Default: 3, or once to each
   * server.
   */
  readonly attempts?: number | undefined;
  /** How many servers there are: each is asked before the result is `unavailable`. Default 1. */
  readonly servers?: number;
  /** How long they are asked in turn while each reports that it did nothing. Default 0: once each. */
  readonly persistMs?: number;
}

const usualAttempts = 3;
/** Between two rounds of all servers. */
const roundPause = { baseMs: 200, maxMs: 1_000 };

/**
 * Calls one operation. If a server certainly did not carry it out, the next one is asked. After a lost
 * response a repeatable operation is sent again. For any other, the log is asked for its outcome, and it is
 * sent once more, under the same request id, when it was not done. Otherwise the error contains what is known
 * of its outcome.
 * @throws DoneUnheard where it was done
 */
export async function callOperation<Op extends Operation>(
  http: HttpClient,
  operation: Op,
  input: InputOf<Op>,
  world: World,
  options: CallOptions,
): Promise<OutputOf<Op>> {
  const call = new Call(http, operation, world, options);
  const body = JSON.stringify(input);
  for (;;) {
    try {
      return await once(http, operation, body, call.requestId, options);
    } catch (e) {
      await call.mayGoOn(e);
    }
  }
}

/** Refusals by one server that mean nothing for the others. */
const passing: ReadonlySet<ErrorCode> = new Set(['unavailable', 'ambiguous']);
const notKnown = 'whether it was done is not known';

/** What the log says of a call whose response was lost. */
type Outcome =
  { readonly status: 'done'; readonly position: Position } | { readonly status: 'not_done' | 'unknown' };

const doneUnheard = (
  what: string,
  { position }: Extract<Outcome, { status: 'done' }>,
  cause: unknown,
): DoneUnheard => new DoneUnheard(`${what}; it was done (event ${position} of the log)`, { cause });

/** One call, through its attempts. */
class Call {
  readonly requestId: string;
  readonly #http: HttpClient;
  readonly #operation: Operation;
  readonly #world: World;
  readonly #options: CallOptions;
  readonly #began = performance.now();
  #lost = 0;
  #refused = 0;
  #sentAgain = false;

  constructor(http: HttpClient, operation: Operation, world: World, options: CallOptions) {
    this.#http = http;
    this.#operation = operation;
    this.#world = world;
    this.#options = options;
    this.requestId = world.uuid();
  }

  /** Resolves when it may be sent once more. @throws the error for the caller otherwise. */
  async mayGoOn(e: unknown): Promise<void> {
    const { repeatable } = this.#operation;
    if (e instanceof LostAnswer) {
      this.#http.leave(e.stream);
      if (repeatable) this.#askAgain(e);
      else await this.#settle(e, this.#brokeDuring(e));
      return;
    }
    const { error, stream } = e instanceof Refused ? e : { error: e, stream: undefined };
    if (!isCoded(error) || !isAnswer(error) || !passing.has(error.code)) {
      if (this.#sentAgain && isCoded(error)) await this.#refuseIfDone(error);
      throw error;
    }
    if (repeatable || error.outcome === 'nothing') await this.#goToNext(error, stream);
    else if (error.outcome === 'unknown') {
      this.#http.leave(stream);
      await this.#settle(error, error.message);
    } else throw error;
  }

  #askAgain(e: LostAnswer): void {
    this.#lost++;
    const { servers = 1, attempts = Math.max(usualAttempts, servers) } = this.#options;
    if (this.#lost >= attempts) throw this.#failure(this.#brokeDuring(e), e);
  }

  async #goToNext(error: CodedError, stream: Duplex | undefined): Promise<void> {
    const { servers = 1, persistMs = 0 } = this.#options;
    this.#http.leave(stream);
    this.#refused++;
    const rounds = Math.floor(this.#refused / servers);
    if (this.#refused % servers !== 0) return;
    const waitMs = backoffMs(rounds, roundPause.baseMs, roundPause.maxMs, 1);
    if (performance.now() - this.#began + waitMs > (this.#operation.untended ? 0 : persistMs)) throw error;
    await pause(waitMs);
  }

  /**
   * A second sending may be refused because the first one was carried out after all. @throws CodedError then.
   */
  async #refuseIfDone(cause: CodedError): Promise<void> {
    const outcome = await this.#outcome();
    if (outcome.status === 'done')
      throw doneUnheard(`an auth server was lost during ${this.#operation.name}`, outcome, cause);
  }

  /** An operation that is not repeatable may have been carried out: the log knows. */
  async #settle(cause: unknown, what: string): Promise<void> {
    const outcome = await this.#outcome();
    if (outcome.status === 'done') throw doneUnheard(what, outcome, cause);
    if (outcome.status === 'not_done' && !this.#sentAgain) {
      this.#sentAgain = true;
      return;
    }
    const known =
      outcome.status === 'not_done' ? 'it was not done by now: look before trying again' : notKnown;
    throw this.#failure(`${what}; ${known}`, cause);
  }

  /** The call may have reached another server than the one that is asked now: they share the log. */
  async #outcome(): Promise<Outcome> {
    const { askAfter, ...options } = this.#options;
    if (askAfter !== true) return { status: 'unknown' };
    try {
      const asked = { requestId: this.requestId };
      const { position } = await callOperation(this.#http, readRequestOutcome, asked, this.#world, options);
      return position === undefined ? { status: 'not_done' } : { status: 'done', position };
    } catch (e) {
      if (!isCoded(e)) throw e;
      return { status: 'unknown' };
    }
  }

  #brokeDuring(e: LostAnswer): string {
    return `the connection to the auth server broke during ${this.#operation.name}: ${messageOf(e)}`;
  }

  #failure(message: string, cause: unknown): CodedError {
    return new CodedError('unavailable', message, { cause });
  }
}

/** A server's refusal, and the connection over which it came. */
class Refused extends Error {
  readonly error: CodedError;
  readonly stream: Duplex | undefined;
  constructor(error: CodedError, stream: Duplex | undefined) {
    super(error.message);
    this.error = error;
    this.stream = stream;
  }
}

async function once<Op extends Operation>(
  http: HttpClient,
  operation: Op,
  body: string,
  requestId: string,
  options: CallOptions,
): Promise<OutputOf<Op>> {
  const deadline = signalAfter(options.timeoutMs);
  let status: number;
  let answer: string;
  let stream: Duplex | undefined;
  try {
    const response = await http.send({
      method: 'POST',
      path: `/v3/${operation.name}`,
      body,
      headers: { 'x-request-id': requestId },
      signal: deadline,
    });
    stream = response.socket;
    status = response.statusCode ?? 0;
    answer = await textOf(response, options.maxAnswerBytes ?? Infinity);
  } catch (e) {
    if (e instanceof CodedError) throw e;
    const sentOver = e instanceof LostAnswer ? e.stream : stream;
    const silence = deadline.aborted
      ? new NoAnswerInTime(`no answer within ${options.timeoutMs} ms`)
      : undefined;
    throw new LostAnswer(messageOf(silence ?? e), { cause: silence ?? e, stream: sentOver });
  }
  if (status !== 200) throw new Refused(errorOfAnswer(status, answer), stream);
  const output = operation.output.safeParse(jsonOrUndefined(answer));
  if (!output.success)
    throw new CodedError(
      'unavailable',
      `the answer to ${operation.name} is not understood by this version: ${issuesOf(output.error)}`,
    );
  return output.data as OutputOf<Op>;
}

async function textOf(response: AsyncIterable<Buffer | string>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    const chunk = typeof part === 'string' ? Buffer.from(part) : part;
    length += chunk.length;
    if (length > maxBytes)
      throw new CodedError('unavailable', `the answer is longer than ${maxBytes} bytes: it was not read`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
