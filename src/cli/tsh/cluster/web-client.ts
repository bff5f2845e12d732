import { CodedError, type ErrorCode, isCoded, messageOf } from '../../../base/errors.ts';
import type { Environment } from '../../../base/forward-proxy.ts';
import { exchange } from '../../../base/http-exchange.ts';
import type { HostPort } from '../../../base/service.ts';
import { signalAfter } from '../../../base/timers.ts';
import { tlsHint } from '../../errors.ts';
import { outletFor } from '../ways/open-way.ts';
import { webUrl } from './proxy-address.ts';
import {
  type AuthoritiesAnswer,
  type LoginAnswer,
  type PingAnswer,
  readAuthoritiesAnswer,
  readLoginAnswer,
  readPingAnswer,
} from './web-answers.ts';

export interface WebTarget {
  readonly address: HostPort;
  /** PEM. Ignored when `insecure`. */
  readonly authorities: readonly string[];
  readonly insecure: boolean;
  /** May name an HTTP proxy. */
  readonly env: Environment;
}

export interface LoginRequest {
  readonly user: string;
  readonly password: string;
  /** Empty when there is none. */
  readonly otp: string;
  /** authorized_keys line. */
  readonly publicKey: string;
  readonly ttlSeconds: number;
  readonly format: 'standard' | 'oldssh';
  readonly routeToCluster: string;
}

interface Limits {
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}
const usualLimits: Limits = { timeoutMs: 30_000, maxAnswerBytes: 4 * 1024 * 1024 };
/** A command may wait for it during a handshake. */
const limitsOfAuthorities: Limits = { timeoutMs: 10_000, maxAnswerBytes: 256 * 1024 };

/** Asks a proxy what it is and where its SSH listens. */
export async function ping(target: WebTarget): Promise<PingAnswer> {
  return readPingAnswer(await send(target, { method: 'GET', path: '/v1/webapi/ping' }));
}

/**
 * The proxy's announcement of the host authority. The certificate of the web port is not checked: nothing
 * secret is sent, and the response counts only as far as a trusted key has signed it.
 * @throws CodedError; `not_found` for a proxy without announcements.
 */
export async function readAuthorities(address: HostPort, env: Environment): Promise<AuthoritiesAnswer> {
  const target = { address, authorities: [], insecure: true, env };
  try {
    return readAuthoritiesAnswer(
      await send(target, { method: 'GET', path: '/v1/webapi/authorities', limits: limitsOfAuthorities }),
    );
  } catch (e) {
    if (isCoded(e)) throw e;
    throw new CodedError('unavailable', `${webUrl(address)}: ${messageOf(e)}`, { cause: e });
  }
}

/** @throws CodedError `access_denied` with the proxy's own message. */
export async function logIn(target: WebTarget, login: LoginRequest): Promise<LoginAnswer> {
  const answer = await send(target, {
    method: 'POST',
    path: '/v1/webapi/ssh/certs',
    body: {
      user: login.user,
      password: login.password,
      hotp_token: '',
      otp_token: login.otp,
      pub_key: Buffer.from(`${login.publicKey.trim()}\n`).toString('base64'),
      ttl: login.ttlSeconds * 1_000_000_000,
      ...(login.format === 'standard' ? {} : { compatibility: login.format }),
      RouteToCluster: login.routeToCluster,
    },
  });
  return readLoginAnswer(answer);
}

export interface WebRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: unknown;
  readonly limits?: Limits;
}

/** The JSON that the proxy answers with. @throws CodedError with the proxy's own message. */
export async function send(
  { address, authorities, insecure, env }: WebTarget,
  { method, path, body, limits = usualLimits }: WebRequest,
): Promise<unknown> {
  const { status, text } = await exchange({
    url: new URL(path, webUrl(address)),
    method,
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signalAfter(limits.timeoutMs),
    maxAnswerBytes: limits.maxAnswerBytes,
    outlet: outletFor(address, 'https', env),
    check: insecure ? { status: 'unchecked' } : { status: 'checked', ca: authorities },
  }).catch((e: unknown) => {
    throw unreachableProxy(address, e, limits.timeoutMs);
  });
  const answer = jsonOf(text);
  if (status === 200 && answer !== undefined) return answer;
  const message =
    typeof answer === 'object' && answer !== null && 'message' in answer && typeof answer.message === 'string'
      ? answer.message
      : '';
  if (message !== '') throw new CodedError(codeOfStatus(status), message);
  throw new CodedError(
    'unavailable',
    `${webUrl(address)}${path} answered ${status}: this does not look like the web address of a proxy`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const codeOfStatus = (status: number): ErrorCode => {
  if (status === 403 || status === 401) return 'access_denied';
  if (status === 404) return 'not_found';
  if (status === 413) return 'too_large';
  if (status === 429) return 'limit_exceeded';
  return status >= 500 ? 'unavailable' : 'bad_request';
};

/** Keeps an error of TLS as it is (it has a text of its own), and adds to all others what was tried. */
function unreachableProxy(address: HostPort, e: unknown, timeoutMs: number): unknown {
  if (tlsHint(e) !== undefined) return e;
  const name = e instanceof Error ? e.name : '';
  const why =
    name === 'TimeoutError' || name === 'AbortError' ? `no answer within ${timeoutMs / 1000} s` : reason(e);
  return new CodedError(
    'unavailable',
    `cannot reach the proxy at ${webUrl(address)}: ${why}. Is the address right (--proxy=host:web_port) and the proxy running?`,
    { cause: e },
  );
}

function reason(e: unknown): string {
  if (e instanceof AggregateError) return e.errors.map((one: unknown) => messageOf(one)).join('; ');
  const text = messageOf(e);
  return /wrong version number|packet length too long/.test(text) ? 'it does not speak TLS there' : text;
}
