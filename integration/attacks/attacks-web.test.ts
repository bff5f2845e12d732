import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { type Answer, type Asking, type Attacked, startAttacked } from './attacked.ts';
import { newKey } from '../harness/auth-bench.ts';
import { linkIn } from '../harness/cluster.ts';

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

it('is told that everybody on its machine may read the tokens in its configuration', () => {
  expect(here.cluster.output()).toMatch(
    /WARN .*teleport\.yaml is open to every user of this machine \(mode 0644\) and holds auth_service\.tokens: chmod o= /,
  );
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
    for (const place of ['/web/invite', '/web/reset', '/v1/webapi/users/password/token']) {
      const answers = [];
      for (const guess of guesses) answers.push(withoutId(await here.web(`${place}/${guess}`)));
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

describe('an odd request', () => {
  const raw: Attacked['raw'] = (...args) => here.raw(...args);
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];
  const json = 'Content-Type: application/json\r\n';
  const chunked = (body: string): string =>
    `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const bodies: Record<string, string> = {
    none: '\r\n',
    empty: 'Content-Length: 0\r\n\r\n',
    chunked: `${json}${chunked('{}')}`,
    'chunked and empty': `${json}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunks that are none': `${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    'of two lengths': `Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`,
    'a form of parts without a boundary': `Content-Type: multipart/form-data\r\nContent-Length: 2\r\n\r\n{}`,
    'awaited by nobody': 'Expect: x\r\nContent-Length: 0\r\n\r\n',
    'of another protocol': 'Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  };
  const places = () => {
    const { web, auth, diag } = here.cluster.ports;
    return [
      ...[
        '/webapi/ping',
        '/webapi/ssh/certs',
        '/v1/webapi/users/password/token',
        new URL(invite).pathname,
      ].map((path) => ({ port: web, path, over: 'tls' as const })),
      ...['/v3/cluster.ping', '/v3/host.join', '/v3/log/state'].map((path) => ({
        port: auth,
        path,
        over: 'tls' as const,
      })),
      ...['/healthz', '/metrics'].map((path) => ({ port: diag, path, over: 'tcp' as const })),
    ];
  };

  it.each(Object.entries(bodies))(
    "with a body: %s, is answered as the client's, by every listener",
    async (_, body) => {
      const answers = await Promise.all(
        places().flatMap(({ port, path, over }) =>
          methods.map(async (method) => {
            const request = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${body}`;
            return { method, path, status: (await raw(port, request, over)).split(' ')[1] ?? 'none' };
          }),
        ),
      );
      // None: the connection was closed without an answer, as one may where the request cannot be read.
      expect(answers.filter(({ status }) => !/^([234]\d\d|none)$/.test(status))).toEqual([]);
      await here.unharmed();
    },
  );

  it('is taken in chunks up to the limit, and cut off there', async () => {
    const { web, auth } = here.cluster.ports;
    const ask = (port: number, path: string, body: string): Promise<string> =>
      raw(port, `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${json}${chunked(body)}`, 'tls');
    expect(await ask(auth, '/v3/cluster.ping', '{}')).toMatch(/^HTTP\/1.1 200 /);
    const wrong = JSON.stringify({ user: 'alice', password: 'wrong', pub_key: 'eA==' });
    expect(await ask(web, '/webapi/ssh/certs', wrong)).toMatch(/^HTTP\/1.1 40[03] /);
    for (const [port, path, size] of [
      [auth, '/v3/cluster.ping', 3_000_000],
      [web, '/webapi/ssh/certs', 300_000],
    ] as const)
      expect(await ask(port, path, 'x'.repeat(size))).toMatch(/^(HTTP\/1.1 413 |$)/);
    await here.unharmed();
  });

  it('writes nothing into the log that steers a terminal or is not seen', async () => {
    const before = here.cluster.output().length;
    const nodename = 'x\u009b2J\u009b31mOWNED\u202e\u200b\u001b]0;y\u0007\nERROR';
    const body = JSON.stringify({
      ...{
        hostId: realWorld.uuid(),
        nodename,
        role: 'Node',
        token: 't'.repeat(20),
        additionalPrincipals: [],
      },
      ...{ publicKey: toAuthorizedKeyLine(newKey().publicKey.blob), sentAt: realWorld.now() },
    });
    expect((await here.auth('/v3/host.join', { body })).status).toBeLessThan(500);
    const login = { user: nodename, password: 'x', pub_key: Buffer.from('x').toString('base64') };
    await post('/webapi/ssh/certs', JSON.stringify(login), { headers: { 'user-agent': 'x\u009b' } });
    await here.web(`/webapi/ping/${encodeURIComponent(nodename)}`);
    await here.unharmed();
    expect(here.cluster.output().slice(before).replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });

  it("that breaks off is nobody's bug", async () => {
    const { web, auth } = here.cluster.ports;
    for (const [port, path] of [
      [web, '/webapi/ssh/certs'],
      [web, new URL(invite).pathname],
      [auth, '/v3/cluster.ping'],
    ] as const)
      for (const body of [
        'Content-Length: 50\r\n\r\n{"a":',
        'Transfer-Encoding: chunked\r\n\r\n50\r\n{"a":',
      ]) {
        const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
        socket.on('error', () => undefined);
        await new Promise<void>((sent) => {
          socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\n${json}${body}`, () => {
            sent();
          });
        });
        await here.unharmed(); // a round trip: the request was begun
        socket.destroy();
      }
    await here.unharmed();
  });
});
