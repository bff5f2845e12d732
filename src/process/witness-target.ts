import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CodedError, messageOf } from '../base/errors.ts';
import { second } from '../base/time.ts';
import type { WitnessLine } from '../log/signed-head-witness.ts';
import { appendLine } from './witness-file.ts';

/** One place that keeps signed heads. */
export interface WitnessTarget {
  /** As the operator wrote it, without a password. */
  readonly place: string;
  /** Rejects when it was not taken. The same line may be sent twice. */
  deliver(line: WitnessLine, stopping: AbortSignal): Promise<void>;
  /** All that was delivered, one JSON text a line. */
  read(): Promise<string>;
}

const timeoutMs = 10 * second;
/** What is read of an answer that only explains a refusal. */
const maxReason = 200;

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

/** A password in the address goes into a header: fetch takes no such address. */
function httpTarget(given: URL): WitnessTarget {
  const { username, password } = given;
  const url = new URL(given);
  url.username = url.password = '';
  const place = url.href;
  const secret = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  const headers: Record<string, string> =
    username === '' && password === '' ? {} : { authorization: `Basic ${secret.toString('base64')}` };
  const ask = async (init: RequestInit & { readonly signal: AbortSignal }): Promise<Response> => {
    try {
      const response = await fetch(url, { ...init, redirect: 'error' });
      if (response.ok) return response;
      const reason = (await response.text()).slice(0, maxReason).trim();
      throw new CodedError('unavailable', `${place} answered ${response.status}${reason && `: ${reason}`}`);
    } catch (e) {
      if (e instanceof CodedError) throw e;
      throw new CodedError('unavailable', `${place}: ${reasonOf(e)}`, { cause: e });
    }
  };
  return {
    place,
    deliver: async (line, stopping) => {
      const response = await ask({
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(line),
        signal: AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)]),
      });
      await response.body?.cancel();
    },
    read: async () => {
      const accept = 'application/x-ndjson, application/json';
      const response = await ask({ headers: { ...headers, accept }, signal: AbortSignal.timeout(timeoutMs) });
      return response.text();
    },
  };
}

/** What fetch says is only "fetch failed"; why is in its cause. */
const reasonOf = (e: unknown): string =>
  e instanceof Error && e.cause !== undefined ? messageOf(e.cause) : messageOf(e);
