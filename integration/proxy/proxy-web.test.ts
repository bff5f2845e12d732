import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type RequestOptions, request as plainRequest } from 'node:http';
import { Agent, request as tlsRequest } from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { Hono } from 'hono';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { WebEnv } from '../../src/proxy/web/web-env.ts';
import { webServer, type WebProtocol, type WebServer } from '../../src/proxy/web/web-server.ts';
import { selfSignedWebCertificate } from '../../src/pki/web-certificate.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { newKey } from '../harness/auth-bench.ts';
import { listenOn } from '../harness/echo-node.ts';
import { codeFor } from '../harness/otp.ts';
import { password, type ProxyBench, startProxy } from './proxy-bench.ts';
import { readQrCode } from '../harness/qr.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
function ask(
  scheme: 'http' | 'https',
  options: RequestOptions & { ca?: string },
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = (scheme === 'http' ? plainRequest : tlsRequest)({ host: 'localhost', ...options });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      text(incoming).then((got) => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: got });
      }, reject);
    });
    outgoing.end(body);
  });
}
const json = (answer: Answer): Record<string, unknown> => JSON.parse(answer.body) as Record<string, unknown>;

describe('the web port of a proxy', () => {
  let proxy: ProxyBench;
  let ca: string;
  const web = (path: string, options: RequestOptions = {}, body = ''): Promise<Answer> =>
    ask('https', { port: proxy.web.port, ca, path, agent: false, ...options }, body);
  const logIn = (user: string, secret: string, code: string, from = '127.0.0.1'): Promise<Answer> =>
    web(
      '/v1/webapi/ssh/certs',
      { method: 'POST', localAddress: from },
      JSON.stringify({
        user,
        password: secret,
        hotp_token: '',
        otp_token: code,
        pub_key: Buffer.from(`${toAuthorizedKeyLine(newKey().publicKey.blob)}\n`).toString('base64'),
        ttl: 3_600_000_000_000,
      }),
    );
  const formOf = (page: string): string => /name="csrf" value="([0-9a-f]{64})"/.exec(page)?.[1] ?? '';

  beforeAll(async () => {
    proxy = await startProxy({ secondFactor: 'otp' });
    ca = readFileSync(join(proxy.directory, 'webproxy_cert.pem'), 'utf8');
  });
  afterAll(() => proxy.stop());

  it('answers a ping over a certificate it made for itself', async () => {
    expect(json(await web('/webapi/ping'))).toMatchObject({
      auth: { type: 'local', second_factor: 'otp' },
      proxy: { ssh: { listen_addr: `127.0.0.1:${proxy.ssh.port}` } },
    });
  });
  it.each(['TLSv1', 'TLSv1.1'] as const)('refuses %s', async (version) => {
    const socket = tls.connect({
      ...{ host: 'localhost', port: proxy.web.port, ca, minVersion: version, maxVersion: version },
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const [error] = (await once(socket, 'error').catch((e: unknown) => [e])) as [Error];
    expect(error.message).toMatch(/protocol|version|alert/i);
  });
  it('lets a person in: page, form, login, and a used link no more', async () => {
    const link = `/web/invite/${await proxy.invite('ann')}`;
    const page = await web(link);
    const cookie = page.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    const pictureOf = ({ body }: Answer): string =>
      readQrCode(Buffer.from(/data:image\/png;base64,([^"]+)/.exec(body)?.[1] ?? '', 'base64'));
    const hiddenIn = (name: string): string =>
      new RegExp(`name="${name}" value="([^"]*)"`).exec(page.body)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const shownAs = { username: 'ann', purpose: hiddenIn('purpose'), shown: hiddenIn('shown') };
    expect(page.headers['strict-transport-security']).toBe('max-age=31536000');
    const send = (form: Record<string, string>): Promise<Answer> =>
      web(
        link,
        { method: 'POST', headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' } },
        new URLSearchParams({
          ...shownAs,
          ...{ csrf: formOf(page.body), password, again: password },
          ...form,
        }).toString(),
      );
    const first = pictureOf(page);
    const short = await send({ password: 'x', again: 'x', code: codeFor(first, -1) });
    expect([short.status, short.body]).toEqual([400, expect.stringContaining('id="password-fault"')]);
    expect(pictureOf(short)).toBe(first);
    const wrong = await send({ code: '000000' });
    expect([wrong.status, wrong.body]).toEqual([400, expect.stringContaining('id="code-fault"')]);
    expect(pictureOf(wrong)).toBe(first);
    const otpauth = pictureOf(await web(link));
    const glimpsed = await send({ code: codeFor(first, -1) });
    expect([glimpsed.status, glimpsed.body]).toEqual([400, expect.stringContaining('id="code-fault"')]);
    const done = await send({ code: codeFor(otpauth, -1) });
    expect(done.body.replace(/<[^>]*>/g, '')).toContain(
      `tsh login --proxy=localhost:${proxy.web.port} --user=ann`,
    );
    const again = await web(link);
    expect([again.status, again.body]).toEqual([403, expect.stringContaining('Bad or expired token')]);

    const answer = await logIn('ann', password, codeFor(otpauth, 0));
    expect(answer.status).toBe(200);
    const given = json(answer);
    expect(given['username']).toBe('ann');
    expect(Buffer.from(String(given['cert']), 'base64').toString()).toMatch(
      /^ssh-ed25519-cert-v01@openssh.com AAAA\S+\n$/,
    );
    expect(given['host_signers']).toMatchObject([{ domain_name: 'example' }]);
    const events = await proxy.told('user.login');
    expect(events.at(-1)).toMatchObject({
      user: 'ann',
      'addr.remote': expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
    });
  });
  it('refuses whoever tries passwords faster than ten a second, and nobody else', async () => {
    const began = performance.now();
    const tries = await Promise.all(
      Array.from({ length: 60 }, () => logIn('eve', 'wrong', '000000', '127.0.0.2')),
    );
    const statuses = tries.map(({ status }) => status);
    // On a busy machine they come slowly: ten at once, and ten more each second.
    const seconds = (performance.now() - began) / 1_000;
    expect(statuses.filter((status) => status === 403).length).toBeLessThanOrEqual(11 + 10 * seconds);
    expect(statuses.every((status) => status === 403 || status === 429)).toBe(true);
    expect((await logIn('eve', 'wrong', '000000', '127.0.0.3')).status).toBe(403);
  });
  it('has real 404s for what nodes and clients of other versions ask', async () => {
    for (const path of ['/v1/webapi/host/credentials', '/v2/tokens/register', '/v1/webapi/sites'])
      expect(await web(path, { method: 'POST' }, '{}')).toMatchObject({
        status: 404,
        body: expect.stringMatching(/^\{"message":/) as string,
      });
  });
  it('answers a ping with auth away, and refuses a login in words for people', async () => {
    await proxy.link.close();
    expect((await web('/webapi/ping')).status).toBe(200);
    const refused = await logIn('ann', password, '000000');
    expect(refused.status).toBe(503);
    expect(String(json(refused)['message'])).toMatch(/^the cluster cannot answer now/);
  });
});

describe('a proxy behind a balancer that ends TLS', () => {
  it('takes address and scheme from the listed balancer, and from nobody else', async () => {
    const proxy = await startProxy({
      balancers: ['127.0.0.9'],
      web: { speaks: 'plain', directory: '', files: [] },
    });
    const through = async (from: string): Promise<Answer> =>
      ask('http', {
        port: proxy.web.port,
        localAddress: from,
        path: `/web/invite/${await proxy.invite(`user-${from}`)}`,
        headers: { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' },
      });
    try {
      const listed = await through('127.0.0.9');
      expect(listed.headers['set-cookie']?.[0]).toMatch(/^__Host-grv_csrf=.*Secure/);
      const stranger = await through('127.0.0.8');
      expect(stranger.headers['set-cookie']?.[0]).toMatch(/^grv_csrf=(?!.*Secure)/);
      expect(stranger.headers['strict-transport-security']).toBeUndefined();
    } finally {
      await proxy.stop();
    }
  });
});

describe('a proxy that cannot be started with', () => {
  it('names the file of a bad pair, and leaves nothing open', async () => {
    const directory = '/nonexistent';
    const files = { keyFile: join(directory, 'key.pem'), certificateFile: join(directory, 'cert.pem') };
    await expect(startProxy({ web: { speaks: 'tls', directory, files: [files] } })).rejects.toMatchObject({
      code: 'misconfigured',
      message: `https key does not exist: ${files.keyFile}`,
    });
  });
});

describe('what a web port speaks', () => {
  const pair = selfSignedWebCertificate({ hostnames: [], now: new Date().toISOString() });
  const timeouts = { greetingMs: 300, headersMs: 300, requestMs: 600, checkMs: 50 };
  let server: WebServer;
  let hold: Promise<void> = Promise.resolve();
  const app = new Hono<WebEnv>();
  app.get('/', (c) => c.text(c.env.incoming.socket.encrypted === true ? 'tls' : 'plain'));
  app.get('/slow', async (c) => {
    await hold;
    return c.text('done');
  });
  app.post('/', async (c) => c.text(await c.req.text()));
  app.onError((_e, c) => c.text('cut', 400)); // half a body
  const start = (protocol: WebProtocol): Promise<number> => {
    server = webServer(app, protocol, timeouts);
    return listenOn(server.server, 0);
  };
  const get = (scheme: 'http' | 'https', port: number): Promise<Answer> =>
    ask(scheme, {
      port,
      path: '/',
      agent: false,
      ...(scheme === 'https' ? { ca: pair.certificatePem } : {}),
    });
  afterEach(() => server.close({ over: Promise.resolve(), given: false }));

  const both: WebProtocol = { speaks: 'both', certificate: pair };
  it('is told apart by the first byte where both are taken', async () => {
    const port = await start(both);
    expect((await get('https', port)).body).toBe('tls');
    expect((await get('http', port)).body).toBe('plain');
  });
  it('is one thing only otherwise', async () => {
    const port = await start({ speaks: 'tls', certificate: pair });
    expect((await get('https', port)).body).toBe('tls');
    await expect(get('http', port)).rejects.toThrow();
    await server.close({ over: Promise.resolve(), given: false });
    const plain = await start({ speaks: 'plain' });
    expect((await get('http', plain)).body).toBe('plain');
    await expect(get('https', plain)).rejects.toThrow();
  });

  const protocols: [string, WebProtocol][] = [
    ['TLS', { speaks: 'tls', certificate: pair }],
    ['plain HTTP', { speaks: 'plain' }],
    ['both', both],
  ];
  const silences: [string, string][] = [
    ['nothing', ''],
    ['half a request line', 'GET / HT'],
    ['half a body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc'],
  ];
  it.each(
    protocols.flatMap(([name, protocol]) =>
      silences.map(([what, sent]) => [name, what, protocol, sent] as const),
    ),
  )('over %s cuts a client that says %s', async (_name, _what, protocol, sent) => {
    const port = await start(protocol);
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(sent);
    await once(socket, 'close');
  });
  it.each(protocols.filter(([, { speaks }]) => speaks !== 'plain'))(
    'over %s cuts a client that says half a request line within TLS',
    async (_name, protocol) => {
      const port = await start(protocol);
      const socket = tls.connect({ host: 'localhost', port, ca: pair.certificatePem });
      socket.on('error', () => undefined).resume();
      socket.write('GET / HT');
      await once(socket, 'close');
    },
  );

  it.each(protocols)('closing %s lets a request end, and closes what is idle', async (_name, protocol) => {
    let release: () => void = () => undefined;
    hold = new Promise((resolve) => (release = resolve));
    const port = await start(protocol);
    const scheme = protocol.speaks === 'plain' ? 'http' : 'https';
    const agent = scheme === 'https' ? new Agent({ keepAlive: true }) : undefined;
    const ca = scheme === 'https' ? { ca: pair.certificatePem } : {};
    await ask(scheme, { port, path: '/', ...ca, ...(agent ? { agent } : {}) });
    const slow = ask(scheme, { port, path: '/slow', agent: false, ...ca });
    const arrived = once(server.server, 'connection');
    await arrived;
    const closed = server.close({ over: new Promise(() => undefined), given: true });
    release();
    expect((await slow).body).toBe('done');
    await closed;
    await expect(get(scheme, port)).rejects.toThrow(/ECONNREFUSED/);
    agent?.destroy();
  });
  it('closing it cuts what takes longer than it may', async () => {
    hold = new Promise(() => undefined);
    const port = await start(both);
    const slow = ask('http', { port, path: '/slow', agent: false });
    const cut = expect(slow).rejects.toThrow(/hang up|reset/);
    await once(server.server, 'connection');
    await server.close({ over: setTimeoutPromise(20), given: true });
    await cut;
  });
});
