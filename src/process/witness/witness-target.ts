import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CodedError, messageOf } from '../../base/errors.ts';
import { exchange, type HttpAsk } from '../../base/http-exchange.ts';
import { second } from '../../base/time.ts';
import { signalAfter } from '../../base/timers.ts';
import type { WitnessLine } from '../../log/signed-head-witness.ts';
import { appendLine } from './witness-file.ts';

/** One place that keeps signed heads. */
export interface WitnessTarget {
  /** As the operator wrote it, without a password. */
  readonly place: string;
  /** Rejects when it was not accepted. The same line may be sent twice. */
  deliver(line: WitnessLine, stopping: AbortSignal): Promise<void>;
  /** Everything that was delivered, one JSON text per line. */
  read(): Promise<string>;
}

const timeoutMs = 10 * second;
/** How much is read of a response that only explains a refusal. */
const maxReason = 200;
/** A line is some 400 bytes; one a minute for years. */
const maxAnswerBytes = 1024 * 1024 * 1024;

/** @throws CodedError `misconfigured` for what is neither a `file:///path` nor an http(s) address. */
export function witnessTarget(text: string): WitnessTarget {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'file:' && url.host === '') return fileTarget(text, fileURLToPath(url));
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return httpTarget(url);
  throw new CodedError('misconfigured', `a witness is a file:///path or an http(s):// address, not ${text}`);
}

const fileTarget = (place: string, path: string): WitnessTarget => ({
  place,
  deliver: (line) => appendLine(path, JSON.stringify(line)),
  read: async () => {
    try {
      return await readFile(path, 'utf8');
    } catch (e) {
      const code = (e as NodeJS.ErrnoException).code === 'ENOENT' ? 'not_found' : 'unavailable';
      throw new CodedError(code, `the witness ${place} cannot be read: ${messageOf(e)}`);
    }
  },
});

/** A password in the address goes into a header and appears in no message. */
function httpTarget(given: URL): WitnessTarget {
  const { username, password } = given;
  const url = new URL(given);
  url.username = url.password = '';
  const place = url.href;
  const secret = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  const headers: Record<string, string> =
    username === '' && password === '' ? {} : { authorization: `Basic ${secret.toString('base64')}` };
  const ask = async (asked: Pick<HttpAsk, 'method' | 'headers' | 'body' | 'signal'>): Promise<string> => {
    const { status, text } = await exchange({
      ...asked,
      url,
      headers: { ...headers, ...asked.headers },
      maxAnswerBytes,
      check: { status: 'checked', ca: undefined },
    }).catch((e: unknown) => {
      throw new CodedError('unavailable', `${place}: ${reasonOf(e)}`, { cause: e });
    });
    if (status >= 200 && status < 300) return text;
    const reason = text.slice(0, maxReason).trim();
    throw new CodedError('unavailable', `${place} answered ${status}${reason && `: ${reason}`}`);
  };
  return {
    place,
    deliver: async (line, stopping) => {
      await ask({
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(line),
        signal: AbortSignal.any([stopping, signalAfter(timeoutMs)]),
      });
    },
    read: () =>
      ask({
        method: 'GET',
        headers: { accept: 'application/x-ndjson, application/json' },
        signal: signalAfter(timeoutMs),
      }),
  };
}

/** For an abort, its cause; for several addresses that were tried, the error of each. */
function reasonOf(e: unknown): string {
  if (e instanceof AggregateError) return e.errors.map(messageOf).join('; ');
  return e instanceof Error && e.cause !== undefined ? messageOf(e.cause) : messageOf(e);
}
