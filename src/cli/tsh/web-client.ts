import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { CodedError, type ErrorCode, messageOf } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import { tlsPolicy } from '../../base/tls-policy.ts';
import { tlsHint } from '../errors.ts';
import { webUrl } from './proxy-address.ts';
import { type LoginAnswer, type PingAnswer, readLoginAnswer, readPingAnswer } from './web-answers.ts';

export interface WebTarget {
  readonly address: HostPort;
  /** PEM. Not looked at when `insecure`. */
  readonly authorities: readonly string[];
  readonly insecure: boolean;
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

const timeoutMs = 30_000;
const maxAnswerBytes = 4 * 1024 * 1024;

/** Asks a proxy what it is and where its SSH listens. */
export async function ping(target: WebTarget): Promise<PingAnswer> {
  return readPingAnswer(await send(target, 'GET', '/v1/webapi/ping'));
}

/** @throws CodedError `access_denied` with the proxy's own words. */
export async function logIn(target: WebTarget, login: LoginRequest): Promise<LoginAnswer> {
  const answer = await send(target, 'POST', '/v1/webapi/ssh/certs', {
    user: login.user,
    password: login.password,
    hotp_token: '',
    otp_token: login.otp,
    pub_key: Buffer.from(`${login.publicKey.trim()}\n`).toString('base64'),
    ttl: login.ttlSeconds * 1_000_000_000,
    ...(login.format === 'standard' ? {} : { compatibility: login.format }),
    RouteToCluster: login.routeToCluster,
  });
  return readLoginAnswer(answer);
}

async function send(target: WebTarget, method: string, path: string, body?: unknown): Promise<unknown> {
  const { status, text } = await exchange(target, method, path, body).catch((e: unknown) => {
    throw unreachableProxy(target.address, e);
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
    `${webUrl(target.address)}${path} answered ${status}: this does not look like the web address of a proxy`,
  );
}

function exchange(
  target: WebTarget,
  method: string,
  path: string,
  body: unknown,
): Promise<{ status: number; text: string }> {
  const { address, authorities, insecure } = target;
  const payload = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: address.host,
      port: address.port,
      method,
      path,
      agent: false,
      ...tlsPolicy,
      ...(insecure ? { rejectUnauthorized: false } : { ca: [...authorities] }),
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        accept: 'application/json',
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      collect(response).then((text) => {
        resolve({ status: response.statusCode ?? 0, text });
      }, reject);
    });
    outgoing.end(payload);
  });
}

async function collect(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maxAnswerBytes) throw new CodedError('unavailable', 'the answer is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
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

/** Keeps an error of TLS as it is (it has a text of its own), says of all others what was tried. */
function unreachableProxy(address: HostPort, e: unknown): unknown {
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
