import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { type HttpClient, LostAnswer } from './http-over.ts';
import { NoAnswerInTime } from './no-answer.ts';
import type { InputOf, Operation, OutputOf } from './operation.ts';
import { readRequestOutcome } from './request-outcome.ts';
import { errorOfAnswer, issuesOf, jsonOrUndefined } from './wire-errors.ts';

export interface CallOptions {
  /** Longest wait for one server's answer. */
  readonly timeoutMs: number;
  /** A longer answer is not read to its end: for servers that nobody has checked. Default: no limit. */
  readonly maxAnswerBytes?: number;
  /** When the answer to what cannot be repeated is lost, the same servers are asked what became of it. */
  readonly askAfter?: true;
}

/** A repeatable operation is sent so often before `unavailable` is the answer. */
const attempts = 3;

/**
 * Calls one operation. A lost answer is asked for again when the operation is repeatable; when it is not, the error says
 * what is known of its outcome.
 */
export async function callOperation<Op extends Operation>(
  http: HttpClient,
  operation: Op,
  input: InputOf<Op>,
  world: World,
  options: CallOptions,
): Promise<OutputOf<Op>> {
  const requestId = world.uuid();
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(http, operation, JSON.stringify(input), requestId, options);
    } catch (e) {
      if (!(e instanceof LostAnswer)) throw e;
      http.forgetIdle();
      if (operation.repeatable && attempt < attempts) continue;
      const known = operation.repeatable ? '' : `; ${await outcomeOf(http, requestId, world, options)}`;
      throw new CodedError(
        'unavailable',
        `the connection to the auth server broke during ${operation.name}: ${messageOf(e)}${known}`,
        { cause: e },
      );
    }
  }
}

/** In words. The call may have reached another server than the one that is asked now: the log is the same. */
async function outcomeOf(
  http: HttpClient,
  requestId: string,
  world: World,
  { askAfter, ...options }: CallOptions,
): Promise<string> {
  const unknown = 'whether it was done is not known';
  if (askAfter !== true) return unknown;
  try {
    const { position } = await callOperation(http, readRequestOutcome, { requestId }, world, options);
    return position === undefined
      ? 'it was not done by now: look before trying again'
      : `it was done (event ${position} of the log)`;
  } catch (e) {
    if (!isCoded(e)) throw e;
    return unknown;
  }
}

async function once<Op extends Operation>(
  http: HttpClient,
  operation: Op,
  body: string,
  requestId: string,
  options: CallOptions,
): Promise<OutputOf<Op>> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  let status: number;
  let answer: string;
  try {
    const response = await http.send({
      method: 'POST',
      path: `/v3/${operation.name}`,
      body,
      headers: { 'x-request-id': requestId },
      signal: deadline,
    });
    status = response.statusCode ?? 0;
    answer = await textOf(response, options.maxAnswerBytes ?? Infinity);
  } catch (e) {
    if (e instanceof CodedError) throw e;
    if (!deadline.aborted) throw new LostAnswer(messageOf(e), { cause: e });
    const silence = new NoAnswerInTime(`no answer within ${options.timeoutMs} ms`);
    throw new LostAnswer(silence.message, { cause: silence });
  }
  if (status !== 200) throw errorOfAnswer(status, answer);
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
