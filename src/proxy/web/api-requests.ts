import { z } from 'zod';
import { badRequest } from './web-errors.ts';

const nanosecondsPerSecond = 1_000_000_000;
const defaultTtlSeconds = 12 * 3600;

/** The body of `POST /webapi/ssh/certs`. Field names and the odd capital are those of clients of 4.4. */
export const certsRequest = z.object({
  user: z.string().min(1).max(128),
  password: z.string().max(65_536),
  otp_token: z.string().max(16).default(''),
  /** Used instead of `otp_token` when it is not empty. */
  hotp_token: z.string().max(16).default(''),
  /** base64 of an authorized_keys line */
  pub_key: z.string().min(1).max(24_000),
  /** nanoseconds */
  ttl: z.number().nonnegative().default(0),
  compatibility: z.enum(['', 'standard', 'oldssh']).default(''),
  RouteToCluster: z.string().max(255).default(''),
});

/** The body of `PUT /webapi/users/password/token`. */
export const tokenRequest = z.object({
  token: z.string().max(128),
  /** base64 */
  password: z.string().max(90_000),
  second_factor_token: z.string().max(16).default(''),
});

/** Who somebody without a session is, and its password in base64 and code. */
const ownClaim = z.object({
  user: z.string().min(1).max(128),
  old_password: z.string().max(90_000),
  second_factor_token: z.string().max(16).default(''),
});

/** The body of `PUT /webapi/users/password`, as 4.4 has it, and whose it is: there are no sessions here. */
export const passwordRequest = ownClaim.extend({ new_password: z.string().max(90_000) });

/** The body of `POST /webapi/users/device`. */
export const deviceRequest = ownClaim;

/** The body of `PUT /webapi/users/device`. */
export const deviceCodeRequest = z.object({
  token: z.string().max(128),
  second_factor_token: z.string().max(16),
});

/** @throws CodedError `bad_request` naming the field that is wrong. */
export function readJson<S extends z.ZodType>(text: string, schema: S): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badRequest('the request is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  throw badRequest(`${field === '' ? 'request' : field}: ${issue?.message ?? 'not valid'}`);
}

/** The requested lifetime in nanoseconds as whole seconds; without a request, 12 hours. */
export const ttlSecondsOf = (nanoseconds: number): number =>
  nanoseconds === 0
    ? defaultTtlSeconds
    : Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.floor(nanoseconds / nanosecondsPerSecond)));

export const toBase64 = (text: string): string => Buffer.from(text).toString('base64');

/**
 * The text encoded in `base64`. Strict, so that two different passwords never read as one: bytes that are not
 * base64 or not UTF-8 are refused, not skipped.
 * @throws CodedError `bad_request` naming `field`.
 */
export function fromBase64(base64: string, field: string): string {
  const bytes = Buffer.from(base64, 'base64');
  const unpadded = (text: string): string => text.replace(/={0,2}$/, '');
  if (unpadded(bytes.toString('base64')) !== unpadded(base64)) throw badRequest(`${field}: not base64`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badRequest(`${field}: not text in UTF-8`);
  }
}
