import { expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../api/testing.ts';
import type { OsUser } from '../machine/passwd.ts';
import { loginAccount } from './login-account.ts';
import type { NodeContext } from './session-context.ts';

const uid = process.getuid?.() ?? 0;
const user: OsUser = { name: 'joe', uid, gid: uid, home: '/', shell: '/bin/sh', groups: [] };

function ask(found: OsUser | undefined, shadow = '') {
  const sink = recordingSink();
  const context = {
    ...{ sink, world: fakeWorld('1970-01-11T12:00:00.000Z'), admitsLockedAccounts: false },
    accounts: {
      user: (name: string) => Promise.resolve(name === 'joe' ? found : undefined),
      passwordLine: () => Promise.resolve(shadow === '' ? undefined : { database: 'shadow', text: shadow }),
    },
  } as unknown as NodeContext;
  return { account: loginAccount(context, { login: 'joe', username: 'ann' }), sink };
}

it('a login is the account of that name, when the machine has nothing against it', async () => {
  const { account, sink } = ask(user);
  expect(await account).toBe(user);
  expect(sink.lines).toEqual([]);
});

it('a login that the machine does not know is refused', async () => {
  await expect(ask(undefined).account).rejects.toMatchObject({
    ...{ code: 'unavailable', message: 'user: unknown user joe' },
  });
});

it('an account that is closed is refused, and the log says of whom and why', async () => {
  const { account, sink } = ask({ ...user, shell: '/nonexistent' });
  const why = 'the account joe cannot be used: its shell /nonexistent is not a program';
  await expect(account).rejects.toMatchObject({ code: 'access_denied', message: why });
  expect(sink.lines).toEqual([
    expect.stringContaining(
      `warn a login was refused by this machine {"user":"ann","login":"joe","reason":"${why}"`,
    ),
  ]);
});

it.runIf(uid === 0)('an account that has expired is refused from that day on', async () => {
  // Days since 1970: today is the tenth.
  await expect(ask(user, 'joe:*:1:0:99999:7::10:').account).rejects.toMatchObject({ code: 'access_denied' });
  expect(await ask(user, 'joe:*:1:0:99999:7::11:').account).toBe(user);
});
