import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { accountRefusal, closedNotice } from './account-refusal.ts';
import { Accounts } from './passwd.ts';
import { ProgramStarter } from './program-starter.ts';

const directory = mkdtempSync(join(tmpdir(), 'nologin-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe('a machine that is closed', () => {
  it('is open without such a file', async () => {
    expect(await closedNotice([join(directory, 'none'), join(directory, 'none', 'deeper')])).toBeUndefined();
  });
  it('tells what the file says, or that it is there', async () => {
    const path = join(directory, 'nologin');
    writeFileSync(path, 'back at noon\n');
    expect(await closedNotice([join(directory, 'none'), path])).toBe(
      `logins are closed on this machine (${path}): back at noon`,
    );
    mkdirSync(join(directory, 'folder'));
    expect(await closedNotice([join(directory, 'folder'), path])).toBe(
      `logins are closed on this machine (${join(directory, 'folder')})`,
    );
  });
});

describe('an account without a program for its shell', () => {
  it.each(['/no/such/shell', '/etc/passwd', '/tmp'])('%s', async (shell) => {
    const user = { name: 'no-such-account', uid: 4242, gid: 4242, home: '/', shell, groups: [] };
    expect(
      await accountRefusal(user, {
        accounts: new Accounts(new ProgramStarter(undefined)),
        today: 1,
        admitsLocked: false,
      }),
    ).toBe(`the account no-such-account cannot be used: its shell ${shell} is not a program`);
  });
});
