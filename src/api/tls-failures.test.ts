import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { LostAnswer } from './http-over.ts';
import { inWords, tlsFailureOf } from './tls-failures.ts';

const now = '2026-01-01T00:00:00.000Z';
/** As dialling wraps what TLS throws. */
const wrapped = (code: string): CodedError => {
  const root = Object.assign(new Error('openssl says'), { code });
  return new CodedError('unavailable', `no auth server answers: 10.0.0.1:3025: ${root.message}`, {
    cause: root,
  });
};

describe('saying why a verified connection failed', () => {
  it.each([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'stranger', 'access_denied', 'not signed by an authority with a pin'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'stranger', 'access_denied', 'not signed by an authority with a pin'],
    ['CERT_NOT_YET_VALID', 'clock', 'misconfigured', `clock skew: its certificate is not valid at ${now}`],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'no-tls', 'unavailable', 'does not speak TLS'],
    ['ECONNREFUSED', undefined, 'unavailable', 'openssl says'],
  ])('knows %s', (code, failure, answer, text) => {
    expect(tlsFailureOf(wrapped(code))).toBe(failure);
    expect(inWords(wrapped(code), 'an authority with a pin', now)).toMatchObject({
      code: answer,
      message: expect.stringContaining(text) as string,
    });
  });

  it('leaves what a server answered as it is', () => {
    const refused = new CodedError('access_denied', 'the token is not valid');
    expect(inWords(refused, '', now)).toBe(refused);
    const busy = new CodedError('unavailable', 'the log is full');
    expect(inWords(busy, '', now)).toBe(busy);
  });

  it('keeps what is not known of a lost answer', () => {
    const lost = new CodedError('unavailable', 'broke during host.join; whether it was done is not known', {
      cause: new LostAnswer('socket hang up'),
    });
    expect(inWords(lost, '', now)).toBe(lost);
  });

  it('lets a bug be one', () => {
    const bug = new TypeError('undefined is not a function');
    expect(() => inWords(bug, '', now)).toThrow(bug);
  });
});
