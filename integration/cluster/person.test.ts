import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser, scanQrCode } from './browser.ts';
import { linkIn, startCluster, type Cluster } from '../harness/cluster.ts';
import { type Ran } from '../harness/run-program.ts';
import { codeFor } from '../harness/otp.ts';

const login = userInfo().username;
const password = 'correct horse battery';

describe('a person who is invited', () => {
  let cluster: Cluster;
  let browser: Browser;
  let page: Page;
  let otpauth = '';
  /** The code that the password was set with. */
  let used = '';
  let link = '';

  /** Logs in as ann, with the code of `steps` from now unless another is given. */
  const logIn = (secret: string, steps: number, code = codeFor(otpauth, steps)): Promise<Ran> =>
    cluster.tsh('ann', ['login', `--proxy=localhost:${cluster.ports.web}`, '--user=ann'], {
      input: `${secret}\n${code}\n`,
    });

  beforeAll(async () => {
    cluster = await startCluster({ secondFactor: 'otp' });
    browser = await openBrowser();
    page = await (await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false })).newPage();
    link = linkIn((await cluster.tctl('users', 'add', 'ann', login)).stdout);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.close();
  });

  it('opens the link, without JavaScript and without anything from elsewhere', async () => {
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).host));
    const answer = await page.goto(link);
    expect(answer?.status()).toBe(200);
    expect(answer?.headers()['content-security-policy']).toContain("default-src 'none'");
    expect(await page.textContent('body')).toContain('ann');
    otpauth = await scanQrCode(page);
    expect(otpauth).toMatch(/^otpauth:\/\/totp\//);
    expect(new Set(asked)).toEqual(new Set([`localhost:${cluster.ports.web}`]));
    mkdirSync('integration/.logs', { recursive: true });
    await page.screenshot({ path: join('integration/.logs', 'invite.png'), fullPage: true });
  });

  it('is shown another secret when the page is opened again, and that one counts', async () => {
    await page.goto(link);
    const again = await scanQrCode(page);
    expect(again).not.toBe(otpauth);
    otpauth = again;
  });

  it('is told what is wrong, and may try again', async () => {
    await fill(page, 'short', codeFor(otpauth, -1));
    expect(await page.textContent('body')).toMatch(/at least 6/i);
    await fill(page, password, '000000');
    expect(await page.textContent('body')).toMatch(/code/i);
  });

  it('chooses a password and is told what to type next', async () => {
    used = codeFor(otpauth, -1);
    await fill(page, password, used);
    expect(await page.textContent('body')).toContain(
      `tsh login --proxy=localhost:${cluster.ports.web} --user=ann`,
    );
  });

  it('cannot use the link twice', async () => {
    await page.goto(link);
    expect(await page.textContent('body')).toMatch(/bad or expired/i);
  });

  it('is refused with a wrong password, a wrong code and a used code alike', async () => {
    const said = [await logIn('wrong password', 0), await logIn(password, 5), await logIn(password, 0, used)];
    for (const ran of said) {
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('error: invalid username, password or second factor');
    }
    const unknown = await cluster.tsh(
      'eve',
      ['login', `--proxy=localhost:${cluster.ports.web}`, '--user=eve'],
      {
        input: 'x\n000000\n',
      },
    );
    expect(unknown.stderr).toContain('error: invalid username, password or second factor');
  });

  it('logs in, and sees who she is and which nodes there are', async () => {
    const ran = await logIn(password, 0);
    expect(ran.stderr).not.toContain('error');
    expect(ran.code).toBe(0);
    const status = await cluster.tsh('ann', ['status']);
    expect(status.stdout).toContain(`> Profile URL:  https://localhost:${cluster.ports.web}`);
    expect(status.stdout).toContain('Logged in as: ann');
    const listed = await cluster.tsh('ann', ['ls']);
    expect(listed.stdout).toMatch(
      /^Node Name Address +Labels +\n-+ -+ -+ *\nnode1 +127\.0\.0\.1:\d+ env=test/,
    );
  });

  it('opens a session', async () => {
    const ran = await cluster.tsh('ann', ['ssh', `${login}@node1`, 'id -un; echo err >&2; exit 7']);
    expect(ran.stdout).toBe(`${login}\n`);
    expect(ran.stderr).toBe('err\nerror: Process exited with status 7\n');
    expect(ran.code).toBe(7);
  });

  it('is shown in the audit, with what she did', async () => {
    const events = (await cluster.tctl('events', 'ls', '--format=json')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const codes = events.map((e) => String(e['code']));
    for (const code of ['T1002I', 'T6000I', 'T1000W', 'T1000I', 'T2000I', 'T3002E', 'T2004I'])
      expect(codes).toContain(code);
    const exec = events.find((e) => e['event'] === 'exec');
    expect(exec).toMatchObject({ user: 'ann', login, exitCode: '7' });
    expect(String(exec?.['addr.remote'])).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(events.every((e) => typeof e['actor'] === 'string' && typeof e['request_id'] === 'string')).toBe(
      true,
    );
  });

  it('is locked after five wrong tries: the operator sees it, she does not', async () => {
    await cluster.tsh('ann', ['logout']); // else tsh shows whom it knows, and asks nobody
    for (let i = 0; i < 5; i++) await logIn('wrong', 0);
    const ran = await logIn(password, 1);
    expect(ran.stderr).toContain('error: invalid username, password or second factor');
    expect((await cluster.tctl('users', 'ls')).stdout).toMatch(
      /ann +\S+ +admin +otp +\S+Z +locked for (20m0s|19m\d+s) from 127\.0\.0\.1/,
    );
  });

  it('can be unlocked by the operator', async () => {
    expect((await cluster.tctl('users', 'unlock', 'ann')).stdout).toContain('User "ann" has been unlocked');
    expect((await logIn(password, 1)).code).toBe(0);
    await cluster.tsh('ann', ['logout']);
    for (let i = 0; i < 5; i++) await logIn('wrong', 0);
  });

  it('can be reset by the operator, which ends the lock', async () => {
    const reset = linkIn((await cluster.tctl('users', 'reset', 'ann')).stdout);
    await page.goto(reset);
    otpauth = await scanQrCode(page);
    await fill(page, `${password} 2`, codeFor(otpauth, 0));
    expect((await logIn(`${password} 2`, 1)).code).toBe(0);
    expect((await cluster.tctl('users', 'ls')).stdout).not.toContain('locked');
  });

  it('logs out, and then is nobody', async () => {
    expect((await cluster.tsh('ann', ['logout'])).stdout).toContain('Logged out all users from all proxies.');
    expect((await cluster.tsh('ann', ['status'])).stdout).toContain('Not logged in.');
    const ran = await cluster.tsh('ann', ['ssh', `${login}@node1`, 'true']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('tsh login');
  });
});

async function fill(page: Page, secret: string, code: string): Promise<void> {
  for (const field of await page.locator('input[type=password]').all()) await field.fill(secret);
  await page.locator('input[autocomplete="one-time-code"]').fill(code);
  await page.locator('button[type=submit], input[type=submit]').click();
}
