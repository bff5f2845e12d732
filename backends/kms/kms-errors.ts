import { CodedError, messageOf } from '../../src/base/errors.ts';

/** Those of our errors that came from the service: waiting does not help. */
const answered = new WeakSet<object>();
export const refusals = {
  has: (e: unknown): boolean => typeof e === 'object' && e !== null && answered.has(e),
};

/** The bytes are not the wrapped key. */
const damaged = new Set(['InvalidCiphertextException', 'IncorrectKeyException']);
const remedies: Readonly<Record<string, string>> = {
  NotFoundException: 'there is no such key',
  DisabledException: 'the key is disabled: enable it',
  KMSInvalidStateException:
    'the key cannot be used in its state: see its page, it may be about to be deleted',
  InvalidKeyUsageException: 'the key is not for encryption: make a symmetric one',
  AccessDeniedException: 'these credentials may not use the key: allow kms:Encrypt and kms:Decrypt on it',
  UnrecognizedClientException: 'the credentials are not valid',
  InvalidSignatureException: 'the credentials are not valid, or the clock is wrong',
  ExpiredTokenException: 'the credentials have expired',
  CredentialsProviderError: 'no credentials were found',
};

/**
 * The service's text, and what to do. Everything except damage is `unavailable`: what is already served
 * continues.
 */
export function codedFrom(e: unknown, keyName: string): CodedError {
  const name = e instanceof Error ? e.name : '';
  if (messageOf(e) === 'Region is missing')
    return new CodedError(
      'misconfigured',
      `the key service for ${keyName}: no region is known: set storage.kms_region or AWS_REGION`,
      { cause: e },
    );
  if (damaged.has(name))
    return new CodedError('damaged', `a data key does not unwrap under ${keyName}: ${messageOf(e)}`, {
      cause: e,
    });
  const remedy = remedies[name];
  const coded = new CodedError(
    'unavailable',
    remedy === undefined
      ? `the key service does not answer for ${keyName}: ${messageOf(e) || name}`
      : `the key service refuses ${keyName}: ${remedy} (${name}: ${messageOf(e)})`,
    { cause: e },
  );
  if (remedy !== undefined) answered.add(coded);
  return coded;
}
