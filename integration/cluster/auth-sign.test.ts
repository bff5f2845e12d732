import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { createFirstUser } from '../harness/people.ts';
import { type Ran, run, type RunOptions } from '../harness/run-program.ts';

const bin = resolve('bin');
const me = userInfo().username;
let cluster: Cluster;
let home: string;

beforeAll(async () => {
  cluster = await startCluster({
    yaml: (text) => text.replace('  cluster_name: example', '  cluster_name: example\n  renewal: 29h'),
  });
  await createFirstUser(cluster, 'joe', { logins: [me] });
  home = cluster.dir;
});
afterAll(() => cluster.close());

const at = (name: string): string => join(home, name);
const ok = async (ran: Promise<Ran>): Promise<Ran> => {
  const done = await ran;
  expect(`${done.stderr}${String(done.code)}`).toMatch(/0$/);
  return done;
};
const tctl = (...args: string[]): Promise<Ran> => ok(cluster.tctl(...args));
/** As on a machine that has no part of the cluster: no configuration, no data_dir. */
const elsewhere = (
  file: string,
  server: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ran> =>
  run(join(bin, 'tctl'), ['-i', at(file), `--auth-server=${server}`, ...args], {
    env: {
      ...process.env,
      TSH_HOME: at('nobody'),
      SSL_CERT_FILE: join(cluster.dataDir, 'webproxy_cert.pem'),
    },
    ...options,
  });
const events = async (code: string): Promise<readonly Record<string, unknown>[]> => {
  const { stdout } = await tctl(
    'events',
    'ls',
    '--type=cert.create',
    '--type=cert_authority.export',
    '--format=json',
  );
  const all = stdout.split('\n').filter((line) => line !== '');
  return all
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((event) => event['code'] === code);
};
const serialIn = ({ stderr }: Ran): string =>
  /^serial (\d+),/m.exec(stderr)?.[1] ?? expect.unreachable(stderr);

describe('tctl auth export', () => {
  it('prints host and user authorities, or one of them, in the forms that OpenSSH reads', async () => {
    const all = (await tctl('auth', 'export')).stdout.trim().split('\n');
    expect(all[0]).toMatch(/^@cert-authority \*\.example ssh-ed25519 \S+ type=host$/);
    expect(all[1]).toMatch(/^cert-authority ssh-ed25519 \S+ clustername=example&type=user$/);
    const [host, user] = await Promise.all([
      tctl('auth', 'export', '--type=host'),
      tctl('auth', 'export', '--type=user'),
    ]);
    expect([host.stdout, user.stdout].join('')).toBe(`${all.join('\n')}\n`);
    const old = await tctl('auth', 'export', '--type=user', '--compat=1.0');
    expect(old.stdout).toMatch(/^@cert-authority \*\.example ssh-ed25519 /);
    const tls = await tctl('auth', 'export', '--type=tls');
    writeFileSync(at('tls.pem'), tls.stdout);
    const shown = await ok(run('openssl', ['x509', '-in', at('tls.pem'), '-noout', '-subject']));
    expect(shown.stdout).toContain('example');
  });

  it('prints the one key of a fingerprint, as auth ls has it, and nothing for another', async () => {
    const listed = await tctl('auth', 'ls', '--format=json');
    const keys = JSON.parse(listed.stdout) as {
      authority: string;
      fingerprint: string;
      status: string;
      pin: string;
    }[];
    expect(keys.map(({ authority, status }) => `${authority} ${status}`)).toEqual([
      'user signs',
      'host signs',
    ]);
    expect((await tctl('status')).stdout).toContain(keys[1]?.pin ?? 'no pin');
    const one = await tctl('auth', 'export', `--fingerprint=${keys[0]?.fingerprint ?? ''}`);
    expect(one.stdout).toBe((await tctl('auth', 'export', '--type=user')).stdout);
    const none = await cluster.tctl('auth', 'export', `--fingerprint=SHA256:${'A'.repeat(43)}`);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('no key that is trusted has the fingerprint');
  });

  it('gives private keys for the phrase alone, and records it', async () => {
    const ask = (input: string): Promise<Ran> =>
      run(join(bin, 'tctl'), ['--config', cluster.config, 'auth', 'export', '--type=user', '--keys'], {
        input,
      });
    for (const wrong of ['', 'yes\n']) expect(await ask(wrong)).toMatchObject({ code: 1, stdout: '' });
    expect(await events('TCA100W')).toEqual([]);
    const given = await ok(ask('export private keys of example\n'));
    writeFileSync(at('ca'), given.stdout, { mode: 0o600 });
    const derived = await ok(run('ssh-keygen', ['-y', '-f', at('ca')]));
    const key = derived.stdout.split(' ')[1] ?? '';
    expect((await tctl('auth', 'export', '--type=user')).stdout).toContain(key);
    expect(await events('TCA100W')).toMatchObject([{ type: 'user', user: 'admin' }]);
  });
});

describe('tctl auth sign --user', () => {
  it('--format=openssh lets stock ssh in, and says what it wrote', async () => {
    const signed = await tctl('auth', 'sign', '--user=joe', '--format=openssh', '--out', at('joe'));
    expect(signed.stdout).toBe(
      `\nThe credentials have been written to ${at('joe')}, ${at('joe-cert.pub')}\n`,
    );
    expect(statSync(at('joe')).mode & 0o777).toBe(0o600);
    const shown = await ok(run('ssh-keygen', ['-L', '-f', at('joe-cert.pub')]));
    expect(shown.stdout).toContain(`Serial: ${serialIn(signed)}`);
    writeFileSync(at('hosts'), (await tctl('auth', 'export', '--type=host')).stdout);
    const options = ['IdentitiesOnly=yes', 'HostKeyAlias=node1.example', `UserKnownHostsFile=${at('hosts')}`];
    const ran = await run('ssh', [
      ...['-F', 'none', '-i', at('joe'), '-p', String(cluster.ports.ssh), '-o', 'StrictHostKeyChecking=yes'],
      ...options.flatMap((one) => ['-o', one]),
      ...[`${me}@127.0.0.1`, 'echo let in'],
    ]);
    expect(ran.stdout).toBe('let in\n');
  });

  it('--format=file is a login for tsh -i and administers by tctl -i, directly and through a proxy', async () => {
    const signed = await tctl('auth', 'sign', '--user=joe', '--out', at('joe.pem'));
    const { web, auth, proxySsh } = cluster.ports;
    const ran = await cluster.tsh('nobody', [
      ...['-i', at('joe.pem'), `--proxy=localhost:${web},${proxySsh}`, '--no-use-local-ssh-agent'],
      ...['ssh', `${me}@node1`, 'echo by file'],
    ]);
    expect(ran.stdout).toBe('by file\n');
    const here = (await tctl('status')).stdout;
    for (const server of [`127.0.0.1:${auth}`, `localhost:${web}`, `localhost:${proxySsh}`])
      expect((await ok(elsewhere('joe.pem', server, ['status']))).stdout).toBe(here);
    const added = await ok(elsewhere('joe.pem', `localhost:${web}`, ['users', 'add', 'ann']));
    expect(added.stdout).toContain(`https://localhost:${web}/web/invite/`);
    const by = await tctl('events', 'ls', '--type=user.create', '--format=json');
    expect(by.stdout).toContain('"updated_by":"joe"');
    const listed = await ok(elsewhere('joe.pem', `127.0.0.1:${auth}`, ['auth', 'identities', 'ls']));
    expect(listed.stdout).toMatch(new RegExp(`^${serialIn(signed)} user joe +file +log in, administer`, 'm'));
  });

  it('what it administers with ends with its user, signs nothing and exports no key', async () => {
    const server = `127.0.0.1:${cluster.ports.auth}`;
    for (const args of [
      ['auth', 'sign', '--user=joe', '--out', at('second')],
      ['auth', 'export', '--type=user', '--keys'],
    ]) {
      const refused = await elsewhere('joe.pem', server, args, { input: 'export private keys of example\n' });
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain('is not open to user:joe');
    }
    expect(existsSync(at('second'))).toBe(false);
    await tctl('users', 'add', 'gone', me);
    await tctl('auth', 'sign', '--user=gone', '--out', at('gone.pem'));
    await ok(elsewhere('gone.pem', server, ['status']));
    await tctl('users', 'rm', 'gone');
    expect((await elsewhere('gone.pem', server, ['status'])).stderr).toContain('access denied');
  });

  it('--no-admin, and what a login gives, may what the rules of its roles allow, and no more', async () => {
    await tctl('auth', 'sign', '--user=joe', '--no-admin', '--out', at('plain.pem'));
    const refused = await elsewhere('plain.pem', `127.0.0.1:${cluster.ports.auth}`, ['status']);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('no rule of the roles of joe (admin) allows it');
  });

  it('--format=tls is a client of the API', async () => {
    await tctl('auth', 'sign', '--user=joe', '--format=tls', '--out', at('api'));
    const url = `https://teleport.cluster.local:${cluster.ports.auth}/v3/cluster.status`;
    const asked = await ok(
      run('curl', [
        ...['-sS', '--resolve', `teleport.cluster.local:${cluster.ports.auth}:127.0.0.1`],
        ...['--cacert', at('api.cas'), '--cert', at('api.crt'), '--key', at('api.key')],
        ...['-H', 'content-type: application/json', '-d', '{}', url],
      ]),
    );
    expect(JSON.parse(asked.stdout)).toMatchObject({ clusterName: 'example' });
  });

  it('ends when the roles say, but for --force, which is recorded apart', async () => {
    const brief = await tctl('auth', 'sign', '--user=joe', '--ttl=15s', '--out', at('brief.pem'));
    expect(brief.stderr).toContain(
      'WARNING: no certificate of a person lasts less than 1m0s: it ends then, not after 15s\n',
    );
    const capped = await tctl('auth', 'sign', '--user=joe', '--ttl=1000h', '--out', at('capped.pem'));
    expect(capped.stderr).toContain('allow 30h0m0s, not 1000h0m0s');
    expect(await events('TC001W')).toEqual([]);
    const forced = await tctl(
      'auth',
      'sign',
      '--user=joe',
      '--ttl=1000h',
      '--force',
      '--out',
      at('forced.pem'),
    );
    expect(forced.stderr).not.toContain('WARNING');
    expect(await events('TC001W')).toMatchObject([
      { serial: serialIn(forced), user: 'joe', signed_by: 'admin' },
    ]);
  });
});

describe('tctl auth sign --host', () => {
  it('certifies the names that were given, and no name of a host of the cluster unless forced', async () => {
    const signed = await tctl('auth', 'sign', '--host=db1.example.com,db1', '--ttl=24h', '--out', at('db1'));
    const shown = await ok(run('ssh-keygen', ['-L', '-f', at('db1-cert.pub')]));
    expect(shown.stdout).toContain('host certificate');
    expect(shown.stdout).toContain(`Serial: ${serialIn(signed)}`);
    expect(/Principals:\s*\n\s*(\S+)\s*\n\s*(\S+)/.exec(shown.stdout)?.slice(1)).toEqual([
      'db1.example.com',
      'db1',
    ]);
    const refused = await cluster.tctl('auth', 'sign', '--host=node1', '--out', at('node1'));
    expect(refused.stderr).toMatch(/"node1" is that of .*--force/);
    await tctl('auth', 'sign', '--host=node1', '--force', '--out', at('node1'));
  });
});

describe('an identity file', () => {
  it('that reaches nobody names each way that was tried', async () => {
    const refused = await elsewhere('joe.pem', '127.0.0.1:1', ['status']);
    expect(refused.code).toBe(1);
    for (const part of [
      'as an auth server: ',
      'through a proxy at 127.0.0.1:1: ',
      'Is the auth server running on "127.0.0.1:1"?',
    ])
      expect(refused.stderr).toContain(part);
  });
});

describe('tsh login with a valid certificate, where the cluster renews', () => {
  const serial = async (): Promise<string> => {
    const file = join(cluster.tshHome('joe'), 'keys', 'localhost', 'joe-cert.pub');
    const shown = await ok(run('ssh-keygen', ['-L', '-f', file]));
    return /Serial: (\d+)/.exec(shown.stdout)?.[1] ?? expect.unreachable(shown.stdout);
  };
  const again = (...args: string[]): Promise<Ran> =>
    cluster.tsh('joe', [`--proxy=localhost:${cluster.ports.web}`, '--user=joe', ...args, 'login'], {
      input: '',
    });

  it('asks for no password, gives another certificate, and never one beyond the longest session', async () => {
    const first = await serial();
    const renewed = await ok(again('--ttl=1500'));
    expect(renewed.stderr).toBe('');
    const second = await serial();
    expect(second).not.toBe(first);
    expect(await events('TC002I')).toMatchObject([{ user: 'joe', serial: second, renews: first }]);
    const ran = await ok(cluster.tsh('joe', ['ssh', `${me}@node1`, 'echo renewed']));
    expect(ran.stdout).toBe('renewed\n');
    // To the end of the 30 hours of the role, counted from the password; from there on it says so itself.
    await ok(again('--ttl=2000'));
    const third = await serial();
    expect(third).not.toBe(second);
    await ok(again('--ttl=2000'));
    expect(await serial()).toBe(third);
  });
});
