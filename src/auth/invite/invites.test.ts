import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hour } from '../../base/time.ts';
import { acceptInvite } from './accept-invite.ts';
import { createUser } from '../user/create-user.ts';
import { deleteUser } from '../user/delete-user.ts';
import { listUsers } from '../user/list-users.ts';
import { readInvite } from './read-invite.ts';
import { resetUser } from '../user/reset-user.ts';
import { searchAudit } from '../audit/search-audit.ts';
import {
  addUser,
  adminCall,
  authHostId,
  codeFor,
  eventsOf,
  hostCall,
  openLink,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from '../testing.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const create = (username: string, extra: object = {}) =>
  createUser(auth.deps, adminCall, {
    username,
    roles: ['admin'],
    traits: { logins: [username] },
    inviteTtlSeconds: 3600,
    ...extra,
  });
const codeOf = async (token: string): Promise<string> =>
  codeFor((await openLink(auth.deps, token)).otpUrl, auth.world.now());
const accept = (token: string, otp: string, password = 'correct horse') =>
  acceptInvite(auth.deps, hostCall('Proxy'), { token, password, otp, clientAddress: '192.0.2.1:1' });
const badLink = {
  code: 'access_denied',
  message: 'bad or expired token: the link was used, replaced, or is too old',
};

describe('inviting a user', () => {
  it('makes user and link in one append, and keeps the token nowhere', async () => {
    const { inviteToken, expiresAt } = await create('alice');
    expect(inviteToken).toMatch(/^[0-9a-f]{32}$/);
    expect(expiresAt).toBe('2026-01-01T01:00:00.000Z');
    expect(JSON.stringify(await eventsOf(auth.log, 'state'))).not.toContain(inviteToken);
    expect((await listUsers(auth.deps, adminCall, {})).users).toMatchObject([
      { username: 'alice', roles: ['admin'] },
    ]);
  });

  it.each([
    ['an existing user', { username: 'alice' }, 'already_exists', 'user "alice" already registered'],
    ['a role that does not exist', { roles: ['nope'] }, 'bad_request', 'role "nope" is not found'],
    [
      'a role that is misspelt, with the nearest one',
      { roles: ['admin', 'amdin'] },
      'bad_request',
      'role "amdin" is not found; did you mean admin?',
    ],
    ['a role of machines', { roles: ['Admin'] }, 'bad_request', 'role "Admin" is for machines'],
    [
      'a lifetime above the limit',
      { inviteTtlSeconds: 49 * 3600 },
      'bad_request',
      'maximum token TTL is 48h0m0s',
    ],
    ['a name that is none', { username: '../x' }, 'bad_request', 'is not a user name'],
    ['a login that is none', { traits: { logins: ['-rf'] } }, 'bad_request', 'not a valid unix login'],
  ])('refuses %s and changes nothing', async (_name, extra, code, message) => {
    await create('alice');
    const before = await auth.log.state.head();
    const refused = create('bob', extra);
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
    expect(await auth.log.state.head()).toBe(before);
  });
});

describe('opening the link', () => {
  it('shows another secret each time, and says it in the audit', async () => {
    const { inviteToken: token } = await create('alice');
    const page = await openLink(auth.deps, token);
    expect(page).toMatchObject({ username: 'alice', purpose: 'invite', secondFactor: 'otp' });
    expect(page.otpUrl).toMatch(
      /^otpauth:\/\/totp\/Teleport:alice%40example\?secret=[A-Z2-7]{32}&issuer=Teleport/,
    );
    const again = await openLink(auth.deps, token);
    expect({ ...again, otpUrl: '' }).toEqual({ ...page, otpUrl: '' });
    expect(again.otpUrl).not.toBe(page.otpUrl);
    const { events } = await searchAudit(auth.deps, adminCall, {
      from: '2000-01-01T00:00:00.000Z',
      to: '2100-01-01T00:00:00.000Z',
      types: ['reset_password_token.open'],
      user: 'alice',
      limit: 10,
    });
    expect(events).toHaveLength(2);
    expect(events[0]).toMatchObject({ code: 'T6001I', purpose: 'invite', 'addr.remote': '192.0.2.7:1' });
  });

  it('leaves no second factor to who saw an earlier page, on whichever auth server', async () => {
    const { inviteToken: token } = await create('alice');
    const other = await openTestAuth({
      log: auth.log,
      world: auth.world,
      hostId: authHostId.replace(/a$/, 'b'),
    });
    const glimpsed = codeFor((await openLink(other.deps, token)).otpUrl, auth.world.now());
    const opened = (await eventsOf(auth.log, 'state')).at(-1);
    const shown = codeFor((await openLink(auth.deps, token)).otpUrl, auth.world.now());
    for (const deps of [other.deps, auth.deps])
      await expect(
        acceptInvite(deps, hostCall('Proxy'), {
          token,
          password: 'correct horse',
          otp: glimpsed,
          clientAddress: '192.0.2.1:1',
        }),
      ).rejects.toThrow(/^the one-time code does not fit: check the digits/);
    await auth.deps.afterwards.done();
    if (!opened) throw new Error('nothing was opened');
    await expect(auth.log.state.unseal(opened, 'otpSeed')).rejects.toMatchObject({ code: 'not_found' });
    await accept(token, shown);
    await other.close();
  });

  it('shows a proxy of the release before what was shown last', async () => {
    const { inviteToken: token } = await create('alice');
    const old = () => readInvite(auth.deps, hostCall('Proxy'), { token });
    expect((await old()).otpUrl).toBe((await old()).otpUrl);
    const { otpUrl } = await openLink(auth.deps, token);
    expect((await old()).otpUrl).toBe(otpUrl);
  });

  it('is refused when it was opened fifty times', async () => {
    const { inviteToken: token } = await create('alice');
    for (let n = 0; n < 50; n++) {
      await openLink(auth.deps, token);
      auth.world.advance(200);
    }
    await expect(openLink(auth.deps, token)).rejects.toMatchObject({ code: 'limit_exceeded' });
  });

  it('costs the store nothing for each guess, and guesses are limited, counted and told', async () => {
    let looks = 0;
    const head = auth.log.state.head.bind(auth.log.state);
    auth.log.state.head = () => {
      looks++;
      return head();
    };
    const guess = (n: number, from: number) =>
      readInvite(auth.deps, hostCall('Proxy'), {
        token: n.toString(16).padStart(32, '0'),
        clientAddress: `192.0.2.${from}:1`,
      }).catch((e: unknown) => (e as { code: string }).code);
    const codes = await Promise.all(Array.from({ length: 60 }, (_, n) => guess(n, n % 4)));
    auth.log.state.head = head;
    expect(codes.filter((code) => code === 'access_denied')).toHaveLength(40);
    expect(codes.filter((code) => code === 'limit_exceeded')).toHaveLength(20);
    // At most one in 200 ms, for all who are served then.
    expect(looks).toBeLessThan(15);
    await auth.close();
    const { events } = await searchAudit(auth.deps, adminCall, {
      from: '2000-01-01T00:00:00.000Z',
      to: '2100-01-01T00:00:00.000Z',
      types: ['gap'],
      user: '',
      limit: 10,
    });
    expect(events.map(({ about, count, message }) => [about, count, message])).toEqual([
      ['reset_password_token.open', 20, expect.stringContaining('not looked at')],
      ['reset_password_token.open', 40, expect.stringContaining('do not work')],
    ]);
  });

  it('works while others of the same address guess: who comes by a balancer is not alone there', async () => {
    const { inviteToken } = await create('alice');
    const guesses = Array.from({ length: 30 }, (_, i) =>
      openLink(auth.deps, i.toString(16).padStart(32, '0')).catch(
        (e: unknown) => (e as { code: string }).code,
      ),
    );
    const page = await openLink(auth.deps, inviteToken);
    expect(page.username).toBe('alice');
    expect((await Promise.all(guesses)).filter((code) => code === 'limit_exceeded')).toHaveLength(20);
  });
  it('says the same for a link that is unknown, used, replaced or expired', async () => {
    const { inviteToken: used } = await create('alice');
    await accept(used, await codeOf(used));
    const { inviteToken: replaced } = await create('bob');
    await resetUser(auth.deps, adminCall, { username: 'bob', resetTtlSeconds: 3600 });
    const { inviteToken: deleted } = await create('carol');
    await deleteUser(auth.deps, adminCall, { username: 'carol' });
    const { inviteToken: expired } = await create('dave');
    auth.world.advance(hour);
    for (const token of ['', 'f'.repeat(32), used, replaced, deleted, expired]) {
      await expect(openLink(auth.deps, token)).rejects.toMatchObject(badLink);
      await expect(accept(token, '000000')).rejects.toMatchObject(badLink);
    }
  });
});

describe('accepting an invite', () => {
  it.each(['', '12345', 'ééééé'])(
    'refuses a password of fewer than six characters (%j)',
    async (password) => {
      const { inviteToken: token } = await create('alice');
      await expect(accept(token, await codeOf(token), password)).rejects.toMatchObject({
        code: 'bad_request',
      });
      await accept(token, await codeOf(token));
    },
  );

  it('refuses a wrong code and leaves the link as it was', async () => {
    const { inviteToken: token } = await create('alice');
    await expect(accept(token, '000000')).rejects.toMatchObject({ code: 'access_denied' });
    await expect(accept(token, '')).rejects.toMatchObject({ code: 'access_denied' });
    await accept(token, await codeOf(token));
  });

  it('spends the code that proved the device', async () => {
    const { inviteToken: token } = await create('alice');
    const otp = await codeOf(token);
    await accept(token, otp);
    const login = { username: 'alice', password: 'correct horse', otp };
    await expect(tryLogin(auth, login)).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('counts a long password whole', async () => {
    const long = 'x'.repeat(60_000);
    const url = await addUser(auth, 'alice', `${long}1`);
    const login = (password: string) =>
      tryLogin(auth, { username: 'alice', password, otp: codeFor(url, auth.world.now()) });
    await expect(login(`${long}2`)).rejects.toMatchObject({ code: 'access_denied' });
    await expect(login(long)).rejects.toMatchObject({ code: 'access_denied' });
    await login(`${long}1`);
  });

  it('happens once, however many try at the same time', async () => {
    const { inviteToken: token } = await create('alice');
    const otp = await codeOf(token);
    const all = await Promise.allSettled([1, 2, 3, 4].map((n) => accept(token, otp, `password ${n}`)));
    expect(all.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    for (const one of all) if (one.status === 'rejected') expect(one.reason).toMatchObject(badLink);
  });
});

describe('resetting a user', () => {
  it('ends the old password at once, and its secret for good', async () => {
    const url = await addUser(auth, 'alice', 'old password');
    const old = (await eventsOf(auth.log, 'state')).find((event) => event.fact.type === 'user.password_set');
    const { resetToken } = await resetUser(auth.deps, adminCall, {
      username: 'alice',
      resetTtlSeconds: 3600,
    });
    const login = { username: 'alice', password: 'old password', otp: codeFor(url, auth.world.now()) };
    await expect(tryLogin(auth, login)).rejects.toMatchObject({ code: 'access_denied' });
    if (!old) throw new Error('no password was set');
    await auth.deps.afterwards.done();
    await expect(auth.log.state.unseal(old, 'passwordHash')).rejects.toMatchObject({ code: 'not_found' });
    await accept(resetToken, await codeOf(resetToken), 'new password');
    expect((await openLink(auth.deps, resetToken).catch((e: unknown) => e)) as object).toMatchObject(badLink);
  });

  it('refuses an unknown user and a lifetime above the limit', async () => {
    const reset = (username: string, resetTtlSeconds: number) =>
      resetUser(auth.deps, adminCall, { username, resetTtlSeconds });
    await expect(reset('nobody', 3600)).rejects.toMatchObject({ code: 'not_found' });
    await create('alice');
    await expect(reset('alice', 25 * 3600)).rejects.toThrow('maximum token TTL is 24h0m0s');
  });
});

describe('deleting a user', () => {
  it('frees the name for somebody new, who has nothing of the old', async () => {
    const url = await addUser(auth, 'alice', 'old password');
    await deleteUser(auth.deps, adminCall, { username: 'alice' });
    await expect(deleteUser(auth.deps, adminCall, { username: 'alice' })).rejects.toMatchObject({
      code: 'not_found',
    });
    await create('alice');
    const login = { username: 'alice', password: 'old password', otp: codeFor(url, auth.world.now()) };
    await expect(tryLogin(auth, login)).rejects.toMatchObject({ code: 'access_denied' });
  });
});
