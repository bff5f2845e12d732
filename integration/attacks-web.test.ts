import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openKmsKeyring } from '../backends/kms/open.ts';
import { tlsServer } from '../src/api/tls-dial.ts';
import { exchange } from '../src/base/http-exchange.ts';
import { silentLog } from '../src/base/log-sink.ts';
import { realWorld } from '../src/base/world.ts';
import { toAuthorizedKeyLine } from '../src/pki/ssh-key.ts';
import { type Answer, type Asking, type Attacked, startAttacked } from './attacked.ts';
import { newKey } from './auth-bench.ts';
import { linkIn, type Ran, run } from './cluster.ts';
import { type LyingProxy, startLyingProxy, type Told } from './lying-proxy.ts';
import { password } from './people.ts';

let here: Attacked;
let invite: string;
beforeAll(async () => {
  here = await startAttacked();
  invite = linkIn((await here.cluster.tctl('users', 'add', 'bob', 'root')).stdout);
});
afterAll(() => here.cluster.close());

const post = (path: string, body: string, asking: Asking = {}): Promise<Answer> =>
  here.web(path, { method: 'POST', body, ...asking });
const withoutId = ({ status, body }: Answer): unknown => ({
  status,
  body: body.replace(/[0-9a-f-]{32,36}/g, ''),
});

describe('the web port', () => {
  it('shows no host name that somebody made up, and sends nobody there', async () => {
    for (const host of ['evil.example"><script>', 'a b', 'evil.example\t', '', 'x@evil.example', '[::1']) {
      const page = await here.web('/web/login', { headers: { host } });
      expect(page.body).not.toMatch(/<script|evil/);
    }
    const page = await here.web('/', {
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    });
    expect(page).toMatchObject({ status: 302, headers: { location: '/web/login' } });
    const path = new URL(invite).pathname;
    const shown = await here.web(path, {
      headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' },
    });
    expect([shown.status, shown.body.includes('evil.example')]).toEqual([200, false]);
    expect(shown.headers).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'") as string,
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
    });
    const absolute = await here.raw(
      here.cluster.ports.web,
      'GET http://evil.example/web/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      'tls',
    );
    expect(absolute).not.toMatch(/evil\.example/);
  });

  it('has no files, whatever the path', async () => {
    const up = '../'.repeat(12);
    for (const path of [
      ...[
        `/${up}etc/passwd`,
        `/web/${up}etc/passwd`,
        '/web/..%2f..%2f..%2fetc%2fpasswd',
        '/web/%2e%2e/keyring',
      ],
      ...['/web/invite/../../keyring', '/web/%00', '/web/\\..\\..\\keyring', '/.git/config', '//etc/passwd'],
      ...['/web/invite/%c0%ae%c0%ae', '/%', '/web/invite/%', `/web/invite/${'a'.repeat(8_000)}`],
    ]) {
      const answer = await here.web(path);
      expect({ path, status: answer.status }).toEqual({
        path,
        status: expect.toSatisfy((status) => [400, 403, 404].includes(Number(status))) as number,
      });
      expect(answer.body).not.toMatch(/root:|repositoryformatversion|at .*\.ts:\d/);
    }
  });

  it('refuses headers of 100 KiB, bodies that are too long or too deep, and names of 10 KB', async () => {
    const { web } = here.cluster.ports;
    expect(await here.raw(web, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(100_000)}`, 'tls')).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    const certs = '/v1/webapi/ssh/certs';
    const long = await post(certs, 'x'.repeat(300_000));
    expect([long.status, long.body]).toEqual([413, '{"message":"the request is too large"}']);
    const bodies = [
      ...[
        '',
        '[]',
        'null',
        '"x"',
        '{"user":{"$ne":""}}',
        '['.repeat(200_000),
        `{"user":${'['.repeat(100_000)}`,
      ],
      ...[JSON.stringify({ user: 'x'.repeat(10_000), password: 'x', pub_key: 'x' })],
      ...[JSON.stringify({ user: 'alice', password: 'x'.repeat(70_000), pub_key: 'x' })],
      ...[`{"user":"alice","password":"x","pub_key":${'['.repeat(90_000)}${']'.repeat(90_000)}}`],
    ];
    for (const body of bodies) expect(await post(certs, body)).toMatchObject({ status: 400 });
  });

  it('takes no password without the secret of the form, and keeps the invite as it was', async () => {
    const path = new URL(invite).pathname;
    const token = path.split('/').at(-1) ?? '';
    const form = 'password=correct+horse+battery&again=correct+horse+battery';
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const zero = '0'.repeat(64);
    for (const [sent, headers] of [
      [form, type],
      [`${form}&csrf=${zero}`, type],
      [`${form}&csrf=${zero}`, { ...type, cookie: `grv_csrf=${zero}` }],
      [`${form}&csrf=${zero}`, { ...type, cookie: `__Host-grv_csrf=${'1'.repeat(64)}` }],
      [`${form}&csrf=`, { ...type, cookie: '__Host-grv_csrf=' }],
    ] as const)
      expect((await post(path, sent, { headers })).status).toBe(403);
    const json = JSON.stringify({ token, password: Buffer.from('correct horse').toString('base64') });
    for (const headers of [{}, { 'x-csrf-token': zero }, { cookie: `__Host-grv_csrf=${zero}` }])
      expect(
        await here.web('/v1/webapi/users/password/token', { method: 'PUT', body: json, headers }),
      ).toMatchObject({ status: 403 });
    expect((await here.web(path)).status).toBe(200);
  });

  it('answers every guess of an invite alike', async () => {
    const token = new URL(invite).pathname.split('/').at(-1) ?? '';
    const other = token.startsWith('0') ? `1${token.slice(1)}` : `0${token.slice(1)}`;
    const guesses = [other, 'f'.repeat(32), token.slice(0, -1), `${token}0`, token.toUpperCase(), 'x'];
    for (const of of ['/web/invite', '/web/reset', '/v1/webapi/users/password/token']) {
      const answers = [];
      for (const guess of guesses) answers.push(withoutId(await here.web(`${of}/${guess}`)));
      expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
      expect(answers[0]).toMatchObject({ status: 403 });
    }
  });

  it('believes nobody who says that he forwards', async () => {
    const headers = {
      ...{ 'x-forwarded-for': '198.51.100.7', 'x-real-ip': '198.51.100.7', forwarded: 'for=198.51.100.7' },
      'x-forwarded-proto': 'http',
    };
    const pub_key = Buffer.from(toAuthorizedKeyLine(newKey().publicKey.blob)).toString('base64');
    const asked = { user: 'alice', password: 'wrong-here', pub_key };
    expect((await post('/v1/webapi/ssh/certs', JSON.stringify(asked), { headers })).status).toBe(403);
    const refused = (await here.events('user.login')).filter(({ success }) => success === false);
    expect(refused).toMatchObject([
      { user: 'alice', 'addr.remote': expect.stringMatching(/^127\.0\.0\.1:/) as string },
    ]);
    expect(JSON.stringify(refused)).not.toMatch(/198\.51\.100\.7|wrong-here/);
    await here.unharmed();
  });
});

describe('a proxy that lies to tsh', () => {
  const key = toAuthorizedKeyLine(newKey().publicKey.blob);
  const ssh = (told: Told): Told => (told['proxy'] as { ssh: Told } | undefined)?.ssh ?? {};
  const signer = (told: Told): Told => (told['host_signers'] as Told[] | undefined)?.[0] ?? {};
  let proxy: LyingProxy;
  beforeAll(async () => {
    proxy = await startLyingProxy(here.cluster);
  });
  afterAll(() => proxy.close());

  /** Logs in anew where a home of that name is, without a terminal. */
  const login = (home: string, lie: LyingProxy['lie'], flags: readonly string[] = []): Promise<Ran> => {
    proxy.lie = lie;
    const args = ['login', `--proxy=127.0.0.1:${proxy.port}`, '--user=alice', ...flags];
    return here.cluster.tsh(home, args, { input: `${password}\n` });
  };
  const stored = (home: string, name: string): string => {
    const path = join(here.cluster.tshHome(home), name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };

  const lies: Record<string, (told: Told) => void> = {
    'a cluster of several lines': (told) => {
      signer(told)['domain_name'] = `x\n@cert-authority * ${key}`;
    },
    'a cluster that is a pattern': (told) => {
      signer(told)['domain_name'] = 'x,*';
    },
    'keys of several lines': (told) => {
      const text = `${key}\n@cert-authority * ${key}`;
      signer(told)['checking_keys'] = [Buffer.from(text).toString('base64')];
    },
    'every host as its SSH address': (told) => {
      ssh(told)['ssh_public_addr'] = '*:3023';
    },
    'two hosts as its web address': (told) => {
      ssh(told)['public_addr'] = 'a,b:443';
    },
  };
  it.each(Object.entries(lies))('names %s, and nothing is stored', async (name, change) => {
    const ran = await login(name.replaceAll(' ', '-'), (_path, told) => {
      change(told);
    });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain("error: the proxy's answer is not understood by this version: ");
    expect(stored(name.replaceAll(' ', '-'), 'known_hosts')).toBe('');
  });

  it('is not followed to another host without a word, and gets no password before it is accepted', async () => {
    const lie = (_path: string, told: Told): void => {
      if ('proxy' in told) Object.assign(ssh(told), { public_addr: 'evil.example:443' });
    };
    const before = proxy.logins.length;
    const ran = await login('moved', lie);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(
      /announces what was neither typed nor known: logins, .* go to another host from now on: evil\.example:443.*--accept-announced/,
    );
    expect([proxy.logins.length, stored('moved', '127.0.0.1.yaml')]).toEqual([before, '']);
    expect((await login('moved', lie, ['--accept-announced'])).code).toBe(0);
    expect(stored('moved', '127.0.0.1.yaml')).toContain('web_proxy_addr: evil.example:443');
  });

  it('does not become the authority of a cluster that another proxy leads to', async () => {
    const honest = await here.cluster.tsh(
      'two',
      ['login', `--proxy=localhost:${here.cluster.ports.web}`, '--user=alice'],
      { input: `${password}\n` },
    );
    expect(honest.code).toBe(0);
    const known = stored('two', 'known_hosts');
    const ran = await login('two', (_path, told) => {
      signer(told)['checking_keys'] = [Buffer.from(key).toString('base64')];
    });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(
      "cluster 'example' is known from the proxy localhost, with other authorities",
    );
    expect(stored('two', 'known_hosts')).toBe(known);
    expect((await login('two', () => undefined)).code).toBe(0);
    await here.cluster.tsh('two', ['logout']);
    const renamed = await login('two', (_path, told) => {
      signer(told)['domain_name'] = 'bank';
    });
    expect(renamed.stderr).toContain("it leads to cluster 'bank', and led to 'example' before");
    expect(stored('two', 'known_hosts')).not.toContain('bank');
  });
});

describe('NODE_TLS_REJECT_UNAUTHORIZED=0, which somebody set for other programs', () => {
  const blind = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  const untrusted = /self-signed certificate|unknown authority|unable to verify/i;
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    ['by its launcher', [resolve('bin/tsh')]],
    ['without it', [process.execPath, resolve('dist/tsh.js')]],
  ])(
    'does not lead tsh, started %s, to a proxy that nobody vouches for',
    async (_, [program = '', ...args]) => {
      const env = {
        ...here.cluster.env('blind'),
        ...blind,
        SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
      };
      const ran = await run(
        program,
        [...args, 'login', `--proxy=127.0.0.1:${here.cluster.ports.web}`, '--user=alice'],
        { env, input: `${password}\n` },
      );
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(untrusted);
      if (args.length === 0)
        expect(ran.stderr).toMatch(
          /^WARNING: tsh does not obey NODE_TLS_REJECT_UNAUTHORIZED of the environment/,
        );
    },
  );

  it('lets no client of ours send anything to whoever answers', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const { auth, web } = here.cluster.ports;
    const other = here.alice.tlsCertificatePem;
    const dialled = tlsServer(
      { host: '127.0.0.1', port: auth },
      { ca: [other], serverName: 'teleport.cluster.local' },
    ).connect(AbortSignal.timeout(5_000));
    await expect(dialled).rejects.toThrow(/certificate/);
    const asked = exchange({
      url: new URL(`https://127.0.0.1:${web}/webapi/ping`),
      method: 'GET',
      headers: {},
      signal: AbortSignal.timeout(5_000),
      maxAnswerBytes: 1_000,
      check: { status: 'checked', ca: undefined },
    });
    await expect(asked).rejects.toThrow(untrusted);
    const endpoint = `https://localhost:${web}`;
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'x');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    const aws = { region: 'eu-north-1', endpoint, patienceMs: 1 };
    await expect(
      openKmsKeyring({ ...aws, keyId: 'alias/x' }, { sink: silentLog, world: realWorld }),
    ).rejects.toThrow(untrusted);
  });
});
