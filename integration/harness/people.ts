import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { linkIn, type Cluster } from './cluster.ts';
import { run } from './run-program.ts';
import { codeFor } from './otp.ts';
import { readQrCode } from './qr.ts';

/** What of a cluster its people need: they may come through a proxy on a machine of its own. */
export type PeopleCluster = Pick<Cluster, 'dir' | 'dataDir' | 'env' | 'tctl' | 'tsh'> & {
  readonly ports: Pick<Cluster['ports'], 'web'>;
};

export const password = 'correct horse battery';

/**
 * Sets the password of an invite or reset link by the JSON calls of the page; answers the otpauth URL when
 * there is one.
 */
export async function acceptLink(
  cluster: PeopleCluster,
  link: string,
  secret = password,
  host = 'localhost',
): Promise<string> {
  const base = `https://${host}:${cluster.ports.web}/v1/webapi/users/password/token`;
  const token = link.split('/').at(-1) ?? '';
  const csrf = 'ab'.repeat(32);
  const curl = (args: string[], input = ''): ReturnType<typeof run> =>
    run(
      'curl',
      ['-sS', '--fail-with-body', '--cacert', join(cluster.dataDir, 'webproxy_cert.pem'), ...args],
      { input },
    );
  const shown = await curl([`${base}/${token}`]);
  if (shown.code !== 0) throw new Error(`${shown.stdout}${shown.stderr}`);
  const { qrCode } = JSON.parse(shown.stdout) as { qrCode?: string };
  const otpUrl = qrCode === undefined || qrCode === '' ? '' : readQrCode(Buffer.from(qrCode, 'base64'));
  const body = {
    token,
    password: Buffer.from(secret).toString('base64'),
    second_factor_token: otpUrl === '' ? '' : codeFor(otpUrl, -1),
  };
  const set = await curl(
    [
      '-X',
      'PUT',
      '-H',
      'Content-Type: application/json',
      '-H',
      `X-CSRF-Token: ${csrf}`,
      '-H',
      `Cookie: __Host-grv_csrf=${csrf}`,
      '-d',
      '@-',
      base,
    ],
    JSON.stringify(body),
  );
  if (set.code !== 0) throw new Error(`${set.stdout}${set.stderr}`);
  return otpUrl;
}

/**
 * Invites a user, accepts the link and logs in with tsh. Answers the otpauth URL (empty without a second
 * factor).
 */
export async function createFirstUser(
  cluster: PeopleCluster,
  name: string,
  options: { logins: readonly string[]; roles?: string },
): Promise<string> {
  const roles = options.roles === undefined ? [] : [`--roles=${options.roles}`];
  const added = await cluster.tctl('users', 'add', name, options.logins.join(','), ...roles);
  if (added.code !== 0) throw new Error(added.stderr);
  const otpUrl = await acceptLink(cluster, linkIn(added.stdout));
  await logIn(cluster, name, otpUrl);
  return otpUrl;
}

/** Logs in with tsh, the password on standard input. */
export async function logIn(cluster: PeopleCluster, name: string, otpUrl = '', steps = 0): Promise<void> {
  const input = otpUrl === '' ? `${password}\n` : `${password}\n${codeFor(otpUrl, steps)}\n`;
  const done = await cluster.tsh(
    name,
    ['login', `--proxy=localhost:${cluster.ports.web}`, `--user=${name}`],
    { input },
  );
  if (done.code !== 0) throw new Error(`tsh login: ${done.stdout}${done.stderr}`);
}

/** Writes what `tsh config` prints to a file for `ssh -F`. Answers its path. */
export async function sshConfigFor(cluster: PeopleCluster, name: string): Promise<string> {
  const printed = await cluster.tsh(name, ['config']);
  if (printed.code !== 0) throw new Error(printed.stderr);
  const path = join(cluster.dir, `ssh_config_${name}`);
  writeFileSync(path, printed.stdout);
  return path;
}
