import { CodedError, messageOf } from '../../src/base/errors.ts';

export const nameOf = (e: unknown): string => (e instanceof Error ? e.name : '');

/** What to do about what the service says. */
const remedies: Readonly<Record<string, string>> = {
  NoSuchBucket: 'there is no such bucket: make it',
  AccessDenied:
    'these credentials may not do that: allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject in it',
  InvalidAccessKeyId: 'the credentials are not valid',
  SignatureDoesNotMatch: 'the credentials are not valid, or the clock is wrong',
  ExpiredToken: 'the credentials have expired',
  CredentialsProviderError: 'no credentials were found',
  PermanentRedirect: 'the bucket is in another region: name it (?region=)',
  AuthorizationHeaderMalformed: 'the bucket is in another region: name it (?region=)',
};

/** The service's text, and what to do. @param what was tried, and where. */
export function codedFrom(e: unknown, what: string): CodedError {
  if (messageOf(e) === 'Region is missing')
    return new CodedError(
      'misconfigured',
      `${what}: no region is known: name it (?region=) or set AWS_REGION`,
      {
        cause: e,
      },
    );
  const name = nameOf(e);
  const remedy = remedies[name];
  const said = messageOf(e) === '' ? name : messageOf(e);
  return new CodedError(
    'unavailable',
    `${what}: ${remedy === undefined ? said : `${remedy} (${name}: ${said})`}`,
    {
      cause: e,
    },
  );
}
