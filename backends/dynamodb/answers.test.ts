import { describe, expect, it } from 'vitest';
import { asCoded, faultOf } from './answers.ts';

const failure = (message: string, more: object = {}): Error => Object.assign(new Error(message), more);
const answered = (name: string, httpStatusCode = 400, more: object = {}): Error =>
  failure('said so', { name, $metadata: { httpStatusCode, ...more } });
const commit = { place: 'table t', writing: true, opening: false };

describe('what an answer means', () => {
  it.each([
    ['throttled', answered('ProvisionedThroughputExceededException')],
    ['throttled', answered('ThrottlingException')],
    ['throttled', answered('RequestLimitExceeded')],
    ['throttled', answered('', 429)],
    ['not-sent', failure('connect', { code: 'ECONNREFUSED', syscall: 'connect' })],
    ['not-sent', failure('no name', { code: 'ENOTFOUND', syscall: 'getaddrinfo' })],
    ['not-sent', new AggregateError([failure('connect', { code: 'ECONNREFUSED', syscall: 'connect' })])],
    [
      'not-sent',
      failure('the socket did not establish a connection with the server', { name: 'TimeoutError' }),
    ],
    ['not-sent', answered('InvalidSignatureException', 400, { clockSkewCorrected: true })],
    ['refused', answered('InvalidSignatureException')],
    ['refused', answered('AccessDeniedException')],
    ['refused', answered('ValidationException')],
    ['refused', failure('Region is missing')],
    ['refused', failure('none', { name: 'CredentialsProviderError' })],
    ['refused', failure('tls', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })],
    // Any of these may have written.
    ['unknown', answered('InternalServerError', 500)],
    ['unknown', answered('ServiceUnavailable', 503)],
    ['unknown', answered('', 408)],
    ['unknown', failure('late', { name: 'TimeoutError' })],
    ['unknown', failure('reset', { code: 'ECONNRESET', syscall: 'read' })],
    ['unknown', failure('gone', { code: 'EHOSTUNREACH', syscall: 'read' })],
    ['unknown', failure('record', { code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' })],
    ['unknown', 'something else'],
  ] as const)('is %s: %s', (fault, e) => {
    expect(faultOf(e)).toBe(fault);
  });

  it('never says of a write that nothing was written when that is not known', () => {
    expect(asCoded(answered('InternalServerError', 500), commit).code).toBe('ambiguous');
    expect(asCoded(answered('InternalServerError', 500), { ...commit, writing: false }).code).toBe(
      'unavailable',
    );
    expect(asCoded(answered('ThrottlingException'), commit).code).toBe('unavailable');
    expect(asCoded(failure('x', { syscall: 'connect' }), commit).code).toBe('unavailable');
  });

  it.each([
    ['not by a bare status, which something in between may say', answered('', 413)],
    ['not by a bare "too many requests"', answered('', 429)],
    ['not by an unknown name', answered('SomethingNewException')],
    ['not by the name on a failure of the service', answered('ValidationException', 500)],
    [
      'not since the clock was corrected from it',
      answered('InternalServerError', 500, { clockSkewCorrected: true }),
    ],
  ])('proves that a write was not carried out: %s', (_, e) => {
    expect(asCoded(e, commit).code).toBe('ambiguous');
  });

  it('is one of the configuration only while opening, and says what to do', () => {
    const denied = answered('AccessDeniedException');
    expect(asCoded(denied, commit).code).toBe('unavailable');
    expect(asCoded(denied, { ...commit, opening: true })).toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('docs/storage-dynamodb.md') as string,
    });
    expect(asCoded(failure('Region is missing'), { ...commit, opening: true }).message).toContain(
      'storage.region',
    );
  });

  it('names an item that is too large as such', () => {
    const large = failure('Item size has exceeded the maximum allowed size', {
      name: 'ValidationException',
      $metadata: { httpStatusCode: 400 },
    });
    expect(asCoded(large, commit).code).toBe('too_large');
  });
});
