import { CodedError, messageOf } from '../../src/base/errors.ts';

/** How a call ended that did not succeed. */
export type Fault =
  /** Nothing was done; later it may be. */
  | 'throttled'
  /** The request never arrived. */
  | 'not-sent'
  /** Whether it was carried out is not known. */
  | 'unknown'
  /** Nothing was done, and it would be the same again. */
  | 'refused';

const throttles = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'Throttling',
  'ThrottledException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'TooManyRequestsException',
  // Of those that make and change tables: too many at once.
  'LimitExceededException',
]);
/** DynamoDB's own errors for a request that it did not carry out. */
const refusals = new Set([
  'ValidationException',
  'SerializationException',
  'ConditionalCheckFailedException',
  'ItemCollectionSizeLimitExceededException',
  'TransactionConflictException',
  'ResourceNotFoundException',
  'ResourceInUseException',
  'UnknownOperationException',
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'IncompleteSignatureException',
  'MissingAuthenticationTokenException',
  'InvalidSignatureException',
  'ExpiredTokenException',
]);
/** The SDK found nothing to sign the request with, so that it sent none. */
const unsigned = new Set(['CredentialsProviderError', 'TokenProviderError']);
/** Errors about a signature with the wrong time. */
const untimely = new Set(['InvalidSignatureException', 'AccessDeniedException']);
/** Failures of these happen before anything was sent. Others with the same code may happen after. */
const beforeSending = new Set(['connect', 'getaddrinfo']);
/** The other side was not trusted, so nothing was sent to it. */
const untrusted = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;
const notEstablished = 'did not establish a connection';
const noRegion = 'Region is missing';

/** By an error's `name`: what an operator should do. */
const remedies: Readonly<Record<string, string>> = {
  AccessDeniedException: 'these credentials may not do it: see the policy in docs/storage-dynamodb.md',
  UnrecognizedClientException: 'the credentials are not valid',
  InvalidClientTokenId: 'the credentials are not valid',
  IncompleteSignatureException: 'the credentials are not valid',
  MissingAuthenticationTokenException: 'the credentials are not valid',
  InvalidSignatureException: 'the credentials are not valid, or the clock of this machine is wrong',
  ExpiredTokenException: 'the credentials have expired',
  CredentialsProviderError:
    'no credentials were found: set access_key and secret_key, or give the SDK some (environment, profile, instance role)',
  TokenProviderError: 'no credentials were found: sign in again',
  ResourceNotFoundException: 'there is no such table (any more)',
};

interface Thrown {
  readonly name: string;
  readonly code: string;
  readonly syscall: string;
  readonly status: number;
  readonly clockCorrected: boolean;
}

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '');

function thrown(e: unknown): Thrown {
  const { name, code, syscall, $metadata } = (e ?? {}) as Record<string, unknown>;
  const meta = ($metadata ?? {}) as { httpStatusCode?: number; clockSkewCorrected?: boolean };
  // Several addresses were tried, and each failed.
  const inner = e instanceof AggregateError ? thrown(e.errors[0]) : undefined;
  return {
    name: textIn(name),
    code: inner?.code ?? textIn(code),
    syscall: inner?.syscall ?? textIn(syscall),
    status: meta.httpStatusCode ?? 0,
    clockCorrected: meta.clockSkewCorrected === true,
  };
}

/**
 * A write counts as not done only where it certainly never left us, or where DynamoDB reports that with a
 * name of its own: a bare status may come from something in between, which does not know the outcome. A read
 * changes nothing, so any refusal counts.
 */
export function faultOf(e: unknown, writing = false): Fault {
  const what = thrown(e);
  if (throttles.has(what.name) || (what.status === 429 && !writing)) return 'throttled';
  if (wasNotSent(e, what)) return 'not-sent';
  if (isKeptBack(e, what)) return 'refused';
  return isRefusal(what, writing) ? 'refused' : 'unknown';
}

function isRefusal({ name, status }: Thrown, writing: boolean): boolean {
  if (status !== 0 && (status < 400 || status >= 500)) return false;
  // A 408 comes from a proxy in between.
  return refusals.has(name) || (!writing && status !== 0 && status !== 408);
}

const wasNotSent = (e: unknown, { name, syscall, clockCorrected }: Thrown): boolean =>
  beforeSending.has(syscall) ||
  messageOf(e).includes(notEstablished) ||
  // The SDK has read the service's time from this refusal: signed again, the request will succeed. The SDK
  // sets this for any reply that contained the time, so the name decides.
  (clockCorrected && untimely.has(name));

/** By the SDK, or by a failed handshake. */
const isKeptBack = (e: unknown, { name, code }: Thrown): boolean =>
  untrusted.test(code) || unsigned.has(name) || messageOf(e) === noRegion;

export interface Circumstances {
  /** The name of the table in messages. */
  readonly place: string;
  /** A write with an unknown outcome may have been carried out, and must not be repeated. */
  readonly writing: boolean;
  /** While opening, a refusal is for the operator; later it may pass, as credentials are renewed. */
  readonly opening: boolean;
}

/** The meaning of a fault for the log. */
export function asCoded(e: unknown, { place, writing, opening }: Circumstances): CodedError {
  if (e instanceof CodedError) return e;
  const { name, code } = thrown(e);
  const text = [name, messageOf(e) || code].filter((part) => part !== '' && part !== 'Error').join(': ');
  const fault = faultOf(e, writing);
  if (fault === 'throttled')
    return new CodedError('unavailable', `DynamoDB throttles us (${place}): ${text}`, { cause: e });
  if (fault === 'unknown' && writing)
    return new CodedError('ambiguous', `DynamoDB gave no answer to a write (${place}): ${text}`, {
      cause: e,
    });
  if (fault !== 'refused')
    return new CodedError('unavailable', `DynamoDB does not answer (${place}): ${text}`, { cause: e });
  if (/item size|too large/i.test(text))
    return new CodedError('too_large', `DynamoDB does not take an item of that size (${place}): ${text}`, {
      cause: e,
    });
  return new CodedError(
    opening ? 'misconfigured' : 'unavailable',
    `DynamoDB (${place}): ${reasonOf(e, name, code)} [${text}]`,
    {
      cause: e,
    },
  );
}

function reasonOf(e: unknown, name: string, code: string): string {
  if (messageOf(e) === noRegion) return 'no region is known: set storage.region or AWS_REGION';
  if (untrusted.test(code)) return `its certificate is not accepted (${code})`;
  return remedies[name] ?? 'the request is refused';
}
