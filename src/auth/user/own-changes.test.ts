import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hour, minute, second } from '../../base/time.ts';
import { findUser } from '../../views/users.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { acceptInvite } from '../invite/accept-invite.ts';
import { readInvite } from '../invite/read-invite.ts';
import { createLock } from '../lock/create-lock.ts';
import {
  addUser,
  adminCall,
  codeFor,
  hostCall,
  openTestAuth,
  type TestAuth,
  tryLogin,
  userCall,
} from '../testing.ts';
import { beginCodeDevice } from './begin-code-device.ts';
import { changePassword } from './change-password.ts';
import { deleteUser } from './delete-user.ts';
import { listDevices } from './list-devices.ts';
import { resetUser } from './reset-user.ts';
import { setCodeDevice } from './set-code-device.ts';
import { userNow } from './user-now.ts';

let auth: TestAuth;
let url: string;
const proxy = hostCall('Proxy');
const old = 'correct horse';
const fresh = 'battery staple';
const wrong = { code: 'access_denied', message: 'invalid username, password or second factor' };

beforeEach(async () => {
  auth = await openTestAuth();
  url = await addUser(auth, 'alice', old);
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const code = (of = url): string => codeFor(of, auth.world.now());
/** Codes that were spent before do not work again. */
const later = (): void => {
  auth.world.advance(minute);
};
const claim = (wish: object = {}) => ({
  ...{ username: 'alice', password: old, otp: code(), clientAddress: '192.0.2.1:999' },
  ...wish,
});
const change = (wish: object = {}): ReturnType<typeof changePassword> =>
  changePassword(auth.deps, proxy, { ...claim(wish), newPassword: fresh, ...wish });
const begin = (wish: object = {}): ReturnType<typeof beginCodeDevice> =>
  beginCodeDevice(auth.deps, proxy, claim(wish));
const finish = (token: string, otp: string): ReturnType<typeof setCodeDevice> =>
  setCodeDevice(auth.deps, proxy, { token, otp, clientAddress: '192.0.2.1:999' });
const logIn = (password: string, otp = code(), clientAddress = '192.0.2.1:999') =>
  tryLogin(auth, { username: 'alice', password, otp, clientAddress });
const state = () => {
  const entry = findUser(auth.deps.views.users.state(), 'alice');
  return entry && userNow(auth.deps, entry);
};
async function audit(): Promise<string[]> {
  const { events } = await searchAudit(auth.deps, adminCall, {
    ...{ from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' },
    ...{ types: [], user: '', limit: 100 },
  });
  return events.map((one) => `${one.code} ${String(one.user)} ${String(one['actor'])}`);
}
/** The audit events of what `act` does. */
async function told(act: () => Promise<unknown>): Promise<string[]> {
  const before = (await audit()).length;
  await act().catch(() => undefined);
  return (await audit()).slice(before);
}

describe('changing the own password', () => {
  it('takes the old one and a code, and only the new one works from then on', async () => {
    expect(await change()).toEqual({ username: 'alice' });
    later();
    await expect(logIn(old)).rejects.toMatchObject(wrong);
    await logIn(fresh);
  });

  it('is one event, by the person itself, and no login', async () => {
    expect(await told(() => change())).toEqual(['T1005I alice user:alice']);
  });

  it('spends the code', async () => {
    const otp = code();
    await change({ otp });
    await expect(logIn(fresh, otp)).rejects.toMatchObject(wrong);
  });

  it('destroys the old hash', async () => {
    const before = findUser(auth.deps.views.users.state(), 'alice')?.passwordIn;
    await change();
    await auth.deps.afterwards.done();
    if (!before) throw new Error('there was no password');
    await expect(auth.log.state.unseal(before, 'passwordHash')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('forgets where people with the old password logged in, and every failure', async () => {
    await logIn(old, code(), '198.51.100.7:1');
    later();
    await logIn('wrong', code(), '203.0.113.9:1').catch(() => undefined);
    later();
    await change();
    expect(state()).toMatchObject({ knownSources: ['192.0.2.1'], failures: [], sourceLocks: [], lock: null });
  });

  it('counts as a failed login in all words, and locks as one', async () => {
    await addUser(auth, 'gone', old);
    await deleteUser(auth.deps, adminCall, { username: 'gone' });
    const attempts = [
      { password: 'wrong' },
      { password: '' },
      { otp: '000000' },
      { otp: '' },
      { username: 'nobody' },
      { username: 'gone' },
      { username: '../../etc/passwd\u0000' },
    ];
    for (const attempt of attempts) {
      // Within the rate of one address.
      auth.world.advance(second);
      await expect(change(attempt), JSON.stringify(attempt)).rejects.toMatchObject(wrong);
      await expect(begin(attempt), JSON.stringify(attempt)).rejects.toMatchObject(wrong);
    }
    expect(state()?.sourceLocks).toMatchObject([{ source: '192.0.2.1' }]);
    await expect(change()).rejects.toMatchObject(wrong);
    await expect(begin()).rejects.toMatchObject(wrong);
    expect(await told(() => change())).toEqual([expect.stringContaining('T1000W alice')]);
  });

  it('leaves a refused attempt as the proxy reported it', async () => {
    expect(await told(() => change({ password: 'wrong' }))).toEqual([
      expect.stringMatching(/^T1000W alice proxy:/),
    ]);
  });

  it('refuses a new password that is too short or the old one, and spends nothing', async () => {
    const otp = code();
    const head = await auth.log.state.head();
    for (const newPassword of ['', 'short', old])
      await expect(change({ otp, newPassword })).rejects.toMatchObject({ code: 'bad_request' });
    expect(await auth.log.state.head()).toBe(head);
    await change({ otp });
  });

  it('is not for whom an operator has locked, and tells that to nobody else', async () => {
    await createLock(auth.deps, adminCall, { kind: 'user', target: 'alice', message: 'ask the desk' });
    await expect(change()).rejects.toThrow('ask the desk');
    await expect(begin()).rejects.toThrow('ask the desk');
    await expect(change({ password: 'wrong' })).rejects.toMatchObject(wrong);
    expect(state()?.passwordId).not.toBeNull();
  });

  it('needs no code where the cluster asks for none', async () => {
    const off = await openTestAuth({ secondFactor: 'off' });
    await addUser(off, 'bob', old);
    const input = { ...claim({ username: 'bob', otp: '' }), newPassword: fresh };
    await changePassword(off.deps, proxy, input);
    await tryLogin(off, { username: 'bob', password: fresh });
    await expect(beginCodeDevice(off.deps, proxy, input)).rejects.toThrow('asks for no codes');
    await off.close();
    await off.log.close();
  });
});

describe('replacing the own code device', () => {
  it('takes password and code, then a code of the new device; until then the old one counts', async () => {
    const { token, otpUrl, expiresAt } = await begin();
    expect(Date.parse(expiresAt) - Date.parse(auth.world.now())).toBe(10 * minute);
    later();
    await logIn(old);
    later();
    await finish(token, code(otpUrl));
    later();
    await expect(logIn(old)).rejects.toMatchObject(wrong);
    await logIn(old, code(otpUrl));
  });

  it('is in the audit when it begins and when it is done', async () => {
    let begun = { token: '', otpUrl: '' };
    expect(await told(async () => (begun = await begin()))).toEqual(['T6000I alice user:alice']);
    expect(await told(() => finish(begun.token, code(begun.otpUrl)))).toEqual(['T1006I alice user:alice']);
  });

  it('spends the first code, and destroys both copies of what is not needed', async () => {
    const { token, otpUrl } = await begin();
    const before = findUser(auth.deps.views.users.state(), 'alice')?.otpIn;
    await finish(token, code(otpUrl));
    await expect(logIn(old, code(otpUrl))).rejects.toMatchObject(wrong);
    await auth.deps.afterwards.done();
    if (!before) throw new Error('there was no device');
    await expect(auth.log.state.unseal(before, 'otpSeed')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('lets a person try again with the digits, and works once', async () => {
    const { token, otpUrl } = await begin();
    await expect(finish(token, '000000')).rejects.toThrow(/^the one-time code does not fit/);
    await expect(finish(token, '')).rejects.toThrow(/^the one-time code does not fit/);
    await finish(token, code(otpUrl));
    later();
    await expect(finish(token, code(otpUrl))).rejects.toThrow('bad or expired token');
    expect(state()).toMatchObject({ failures: [], sourceLocks: [] });
  });

  it.each([
    ['another one began', () => begin()],
    ['the password was changed', () => change()],
    [
      'an operator reset the user',
      () => resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 }),
    ],
    ['the user was deleted', () => deleteUser(auth.deps, adminCall, { username: 'alice' })],
    [
      'its time was over',
      () => {
        auth.world.advance(10 * minute);
        return Promise.resolve();
      },
    ],
  ])('is void after %s', async (_name, happens) => {
    const { token, otpUrl } = await begin();
    later();
    await happens();
    await expect(finish(token, code(otpUrl))).rejects.toThrow('bad or expired token');
  });

  it('is not void by an attempt with a wrong password', async () => {
    const { token, otpUrl } = await begin();
    await change({ password: 'wrong' }).catch(() => undefined);
    await begin({ password: 'wrong' }).catch(() => undefined);
    await finish(token, code(otpUrl));
  });

  it('is no link to set a password, and a link is no way to a device', async () => {
    const { token, otpUrl } = await begin();
    const clientAddress = '192.0.2.1:1';
    const accepted = { token, password: fresh, otp: code(otpUrl), clientAddress };
    await expect(acceptInvite(auth.deps, proxy, accepted)).rejects.toThrow('bad or expired token');
    await expect(readInvite(auth.deps, proxy, { token, clientAddress })).rejects.toThrow('bad or expired');
    const link = await resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 });
    const shown = await readInvite(auth.deps, proxy, { token: link.resetToken, clientAddress });
    await expect(finish(link.resetToken, code(shown.otpUrl))).rejects.toThrow('bad or expired token');
  });

  it('leaves a reset as it was: the operator can reset afterwards, and the device of the link counts', async () => {
    const { token, otpUrl } = await begin();
    await finish(token, code(otpUrl));
    auth.world.advance(hour);
    await resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 });
    await expect(logIn(old, code(otpUrl))).rejects.toMatchObject(wrong);
  });
});

describe('the own devices', () => {
  it('are shown to the person alone, with when they were set up and used', async () => {
    const added = (await listDevices(auth.deps, userCall('alice'), {})).devices;
    expect(added).toMatchObject([{ type: 'otp' }]);
    await logIn(old);
    const [used] = (await listDevices(auth.deps, userCall('alice'), {})).devices;
    expect(used?.addedAt).toBe(added[0]?.addedAt);
    expect(Date.parse(auth.world.now()) - Date.parse(used?.lastUsedAt ?? '')).toBeLessThan(30_000);
    expect(await listDevices(auth.deps, userCall('nobody'), {})).toEqual({ devices: [] });
    await expect(listDevices(auth.deps, adminCall, {})).rejects.toMatchObject({ code: 'access_denied' });
  });
});
