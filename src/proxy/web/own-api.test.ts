import { describe, expect, it } from 'vitest';
import { beginCodeDevice, changePassword, setCodeDevice } from '../../api/operations/user-own.ts';
import { CodedError } from '../../base/errors.ts';
import { toBase64 } from './api-requests.ts';
import { testWeb, type TestWeb } from '../testing.ts';

const token = '0123456789abcdef0123456789abcdef';
const claim = { user: 'alice', old_password: toBase64('old words'), second_factor_token: '709184' };
const password = { ...claim, new_password: toBase64('new wörds') };
const ask = (web: TestWeb, method: string, path: string, body: unknown): Promise<Response> =>
  web.request(`/v1/webapi/users/${path}`, { method, body: JSON.stringify(body) });
const done = { username: 'alice' };

describe('what people change of their own', () => {
  it('is passed on with what proves who asks, and from where', async () => {
    const web = testWeb();
    web.auth.on(changePassword, () => done);
    const answer = await ask(web, 'PUT', 'password', password);
    expect([answer.status, await answer.json()]).toEqual([200, { user: 'alice' }]);
    expect(answer.headers.get('cache-control')).toBe('no-cache, no-store, must-revalidate');
    const from = { clientAddress: '192.0.2.9:4711', addressIsShared: false };
    const asked = { username: 'alice', password: 'old words', otp: '709184', ...from };
    expect(web.auth.asked).toEqual([
      { name: 'user.change-password', input: { ...asked, newPassword: 'new wörds' } },
    ]);
  });

  it('is a secret to scan, then a code of it', async () => {
    const web = testWeb();
    const begun = { ...done, token, otpUrl: 'otpauth://totp/x', expiresAt: '2026-01-31T08:10:00.000Z' };
    web.auth.on(beginCodeDevice, () => begun);
    web.auth.on(setCodeDevice, () => done);
    expect(await (await ask(web, 'POST', 'device', claim)).json()).toEqual({
      ...{ user: 'alice', token, otp_url: 'otpauth://totp/x', expires: begun.expiresAt },
    });
    const set = await ask(web, 'PUT', 'device', { token, second_factor_token: '123456' });
    expect([set.status, await set.json()]).toEqual([200, { user: 'alice' }]);
  });

  it('is refused in the words of auth, and a token that can be none is not sent there', async () => {
    const web = testWeb();
    web.auth.on(changePassword, () => {
      throw new CodedError('access_denied', 'invalid username, password or second factor');
    });
    const refused = await ask(web, 'PUT', 'password', password);
    expect([refused.status, await refused.json()]).toEqual([
      403,
      { message: 'invalid username, password or second factor' },
    ]);
    const other = testWeb();
    const odd = await ask(other, 'PUT', 'device', { token: '../x', second_factor_token: '1' });
    expect(odd.status).toBe(403);
    expect(other.auth.asked).toEqual([]);
  });

  it.each([
    ['no new password', 'PUT', 'password', claim],
    ['a password that is no text', 'PUT', 'password', { ...password, new_password: '/w==' }],
    ['no user', 'POST', 'device', { ...claim, user: '' }],
    ['no code of the new device', 'PUT', 'device', { token }],
  ])('takes no request with %s', async (_name, method, path, body) => {
    const web = testWeb();
    expect((await ask(web, method, path, body)).status).toBe(400);
    expect(web.auth.asked).toEqual([]);
  });
});
