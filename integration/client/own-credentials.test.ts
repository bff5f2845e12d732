import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, linkIn, startCluster } from '../harness/cluster.ts';
import { codeFor } from '../harness/otp.ts';
import { acceptLink, password, sshConfigFor } from '../harness/people.ts';
import { run, until, type Ran } from '../harness/run-program.ts';

const login = userInfo().username;
/** Characters that a shell, ssh_config and HTML read, and an end that is that of a key file. */
const name = "o'neil+$ops%h@example.pub";
const fresh = 'battery staple "$HOME"';

describe('a person whose name is a mail address', () => {
  let cluster: Cluster;
  let otpUrl = '';
  /** The codes of the device that were spent: each is newer than the one before. */
  let step = -1;
  const tsh = (args: readonly string[], input = ''): Promise<Ran> =>
    cluster.tsh('person', [...args, `--proxy=localhost:${cluster.ports.web}`, `--user=${name}`], { input });
  const nextCode = (): string => codeFor(otpUrl, ++step);

  beforeAll(async () => {
    cluster = await startCluster({ secondFactor: 'otp' });
  });
  afterAll(() => cluster.close());

  it('is invited with logins, and sets a password', async () => {
    const refused = await cluster.tctl('users', 'add', name);
    expect(refused.stderr).toContain('cannot be a login on a server: give the logins');
    const added = await cluster.tctl('users', 'add', name, login);
    expect(added.stdout).toContain(`User ${name} has been created`);
    otpUrl = await acceptLink(cluster, linkIn(added.stdout));
  });

  it('changes the password: a wrong one or a slip changes nothing', async () => {
    const wrong = await tsh(['passwd'], `wrong\n${codeFor(otpUrl, 1)}\n${fresh}\n${fresh}\n`);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('error: invalid username, password or second factor: tried user');
    const slip = await tsh(['passwd'], `${password}\n${codeFor(otpUrl, 0)}\n${fresh}\nother\n`);
    expect(slip.stderr).toContain('error: the two new passwords differ: nothing was changed\n');
    const changed = await tsh(['passwd'], `${password}\n${nextCode()}\n${fresh}\n${fresh}\n`);
    expect(changed).toMatchObject({
      code: 0,
      stdout: `The password of user ${name} has been changed. Certificates of earlier logins stay valid until they end.\n`,
      stderr:
        `Enter password for Teleport user ${name}:\nEnter your OTP token:\n` +
        'Enter the new password:\nEnter the new password again:\n',
    });
  });

  it('replaces the code device, by what the terminal shows', async () => {
    const child = spawn(
      resolve('bin/tsh'),
      ['mfa', 'add', `--proxy=localhost:${cluster.ports.web}`, `--user=${name}`],
      { env: cluster.env('person') },
    );
    let out = '';
    let err = '';
    child.stdout.on('data', (d: Buffer) => (out += d.toString()));
    child.stderr.on('data', (d: Buffer) => (err += d.toString()));
    const ended = new Promise<number | null>((settle) => child.once('close', settle));
    child.stdin.write(`${fresh}\n${nextCode()}\n`);
    const shown = await until('the secret of the new device', () => {
      if (child.exitCode !== null) throw new Error(`tsh mfa add: ${out}${err}`);
      return /^URL: +(otpauth:\S+)$/m.exec(out)?.[1];
    });
    expect(out).toMatch(/█/);
    expect(out).toContain(`Secret: ${new URL(shown).searchParams.get('secret') ?? '?'}\n`);
    child.stdin.end(`${codeFor(shown, -1)}\n`);
    expect(await ended, err).toBe(0);
    expect(out).toContain(`The code device of user ${name} has been replaced`);
    [otpUrl, step] = [shown, -1];
  });

  it('logs in with both, has files of its own, and enters a node also by ssh', async () => {
    const loggedIn = await tsh(['login'], `${fresh}\n${nextCode()}\n`);
    expect(loggedIn.stderr).not.toContain('error');
    const files = readdirSync(join(cluster.tshHome('person'), 'keys', 'localhost')).sort();
    expect(files).toEqual(
      [
        'certs.pem',
        ...['', '-cert.pub', '-x509.pem', '.pub'].map(
          (suffix) => `o,27neil+,24ops,25h@example,2Epub${suffix}`,
        ),
      ].sort(),
    );
    const status = await cluster.tsh('person', ['status']);
    expect(status.stdout).toContain(`Logged in as: ${name}`);
    const devices = await cluster.tsh('person', ['mfa', 'ls']);
    expect(devices.stdout).toMatch(/^Type +Added at +Last used +\n-.*\notp +\S+Z +\S+Z +\n$/);
    const shell = await cluster.tsh('person', ['ssh', `${login}@node1`, 'printf %s "$SSH_TELEPORT_USER"']);
    expect(shell).toMatchObject({ code: 0, stdout: name });
    const config = await sshConfigFor(cluster, 'person');
    const stock = await run('ssh', ['-F', config, `${login}@node1.example`, 'echo entered'], {
      env: cluster.env('person'),
    });
    expect(stock, stock.stderr).toMatchObject({ code: 0, stdout: 'entered\n' });
  });

  it('is the same in the audit, in locks and for operators', async () => {
    const events = (await cluster.tctl('events', 'ls', `--user=${name}`, '--format=json')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.filter((one) => one['user'] !== name && one['name'] !== name)).toEqual([]);
    const told = events.map((one) => `${String(one['code'])} ${String(one['actor'])}`);
    expect(told).toContain(`T1006I user:${name}`);
    expect(told.filter((one) => one === `T1005I user:${name}`)).toHaveLength(2);
    expect((await cluster.tctl('get', `user/${name}`)).stdout).toContain('name: ');
    expect((await cluster.tctl('lock', `--user=${name}`)).code).toBe(0);
    expect((await tsh(['passwd'], `${fresh}\n${nextCode()}\n${password}\n${password}\n`)).stderr).toContain(
      'is in force',
    );
    expect((await cluster.tctl('users', 'rm', name)).stdout).toContain(`User "${name}" has been deleted`);
    expect((await cluster.tsh('person', ['logout'])).stdout).toBe('Logged out all users from all proxies.\n');
    expect(readdirSync(join(cluster.tshHome('person'), 'keys', 'localhost'))).toEqual(['certs.pem']);
  });
});
