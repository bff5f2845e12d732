import { describe, expect, it } from 'vitest';
import { fold, scenario } from './testing.ts';
import { user } from './user.ts';
import type { UserFact } from './user-fact.ts';
import { type LogIn, loginOutcome } from './user-login.ts';

const given = scenario(user);
const addresses = { remote: '198.51.100.7:5000', local: '192.0.2.1:3080' };
const facts: readonly UserFact[] = [
  { type: 'user.created', data: { username: 'joe', roles: ['admin'], traits: { logins: ['joe'] } } },
  { type: 'user.password_set', data: { passwordId: 'p1', addresses } },
];
const logIn: LogIn = {
  type: 'log-in',
  now: '2026-01-01T12:00:00.000Z',
  password: { status: 'matched', id: 'p1' },
  otp: { status: 'not_required' },
  addresses,
};
const grant = { roles: ['admin'], logins: ['joe'], ttlSeconds: 3600 };
const certificate = { grant, traits: { logins: ['joe'] } };

describe('a login with a certificate', () => {
  it('says which one it is given', () => {
    given(...facts)
      .when({ ...logIn, certificate })
      .then({
        type: 'user.logged_in',
        data: { method: 'local', otp: { status: 'not_required' }, addresses, certificate: grant },
      });
  });

  it('is refused as ever when the password is wrong', () => {
    const wrong = user.decide(fold(user, facts), { ...logIn, certificate, password: { status: 'wrong' } });
    expect(loginOutcome(wrong)).toEqual({ status: 'refused', reason: 'wrong_password' });
    expect(JSON.stringify(wrong)).not.toContain('ttlSeconds');
  });

  it.each([
    ['roles', { grant: { ...grant, roles: ['other'] }, traits: { logins: ['joe'] } }],
    ['traits', { grant, traits: { logins: ['joe', 'root'] } }],
  ])('spends nothing when it was made out for other %s', (_name, outdated) => {
    given(...facts)
      .when({ ...logIn, certificate: outdated })
      .refused('unavailable', 'changed at this moment');
  });
});
