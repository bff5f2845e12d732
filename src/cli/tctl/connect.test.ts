import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { errorOfAnswer } from '../../api/wire-errors.ts';
import { CodedError } from '../../base/errors.ts';
import { createCaCertificate } from '../../pki/x509.ts';
import { explain } from '../errors.ts';
import { explained } from './connect.ts';

const certificate = createCaCertificate({
  clusterName: 'c',
  privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  now: '2026-11-23T12:44:00.000Z',
});
const asked = { address: '127.0.0.1:3025', certificate, now: '2026-11-23T12:50:00.000Z' };
const said = (e: unknown, now = asked.now): string => explain(explained(e, { ...asked, now }));

describe('why tctl could not', () => {
  it('asks whether the server runs only when nobody answered', () => {
    expect(said(new CodedError('unavailable', 'connect ECONNREFUSED'))).toMatch(
      /Is the auth server running on "127/,
    );
    const answer = errorOfAnswer(503, '{"code":"unavailable","message":"the store is away"}');
    expect(said(answer)).toBe('the auth server cannot do that now: the store is away');
  });

  it('names the clock when the server’s certificate does not hold now, and no proxy', () => {
    const e = Object.assign(new Error('certificate is not yet valid'), { code: 'CERT_NOT_YET_VALID' });
    expect(said(new CodedError('unavailable', 'x', { cause: e }))).toMatch(
      /^127\.0\.0\.1:3025: clock skew: .*set the clock$/,
    );
  });

  it('names the clock when its own certificate does not hold now, and else believes the refusal', () => {
    const refused = new CodedError('access_denied', 'the client certificate is not valid here');
    expect(said(refused)).toBe('the client certificate is not valid here');
    expect(said(refused, '2026-11-23T12:34:00.000Z')).toMatch(
      /not valid here: the admin identity .* is valid from 2026.*Set the clock/,
    );
  });
});
