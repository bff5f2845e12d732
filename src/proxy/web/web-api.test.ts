import { describe, expect, it } from 'vitest';
import { acceptInvite, readInvite } from '../../api/operations/invite.ts';
import { logIn } from '../../api/operations/user.ts';
import { CodedError } from '../../base/errors.ts';
import { version } from '../../base/version.ts';
import { invalidLink } from '../../domain/invite.ts';
import { balancersOf } from '../client-address.ts';
import { toBase64 } from './api-requests.ts';
import { openLinkFor, testWeb, type TestWeb } from '../testing.ts';

const token = '0123456789abcdef0123456789abcdef';
const csrf = 'ab'.repeat(32);
const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA';
const login = {
  user: 'alice',
  password: 'secret words',
  hotp_token: '',
  otp_token: '709184',
  pub_key: toBase64(`${line}\n`),
  ttl: 43_200_000_000_000,
  RouteToCluster: '',
};
const post = (web: TestWeb, body: unknown, path = '/v1/webapi/ssh/certs'): Promise<Response> =>
  web.request(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const messageIn = async (answer: Response): Promise<unknown> =>
  ((await answer.json()) as { message: unknown }).message;

describe('asking a proxy what it is', () => {
  it.each(['/webapi/ping', '/v1/webapi/ping'])('%s tells how to log in and where SSH is', async (path) => {
    const web = testWeb({ sshPublicAddress: 'ssh.example.com:3023' });
    const answer = await web.request(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.headers.get('cache-control')).toBe('no-cache, no-store, must-revalidate');
    expect(answer.headers.get('pragma')).toBe('no-cache');
    expect(answer.headers.get('expires')).toBe('0');
    expect(await answer.json()).toEqual({
      auth: { type: 'local', second_factor: 'otp' },
      proxy: {
        kube: {},
        ssh: {
          listen_addr: '0.0.0.0:3023',
          public_addr: 'proxy.example.com:3080',
          ssh_public_addr: 'ssh.example.com:3023',
          web_ways: ['web', 'web-tls', 'web-upgrade'],
        },
      },
      server_version: version,
      min_client_version: '3.0.0',
    });
  });
  it('answers with auth away, by what was last folded', async () => {
    const web = testWeb();
    expect((await web.request('/v1/webapi/ping')).status).toBe(200);
    expect(web.auth.asked).toEqual([]);
  });
  it('says that it knows nothing before auth has answered at all', async () => {
    const answer = await testWeb({ cluster: () => ({ status: 'absent' }) }).request('/v1/webapi/ping');
    expect(answer.status).toBe(503);
  });
  it('leaves out addresses that are not configured', async () => {
    const answer = await testWeb({ publicAddress: '' }).request('/v1/webapi/find');
    expect(await answer.json()).toMatchObject({
      auth: { type: '' },
      proxy: { ssh: { listen_addr: '0.0.0.0:3023' } },
    });
  });
  it('knows the connector local and no other', async () => {
    const web = testWeb();
    expect(await (await web.request('/v1/webapi/ping/local')).json()).toMatchObject({
      min_client_version: '',
    });
    const other = await web.request('/v1/webapi/ping/github');
    expect([other.status, await messageIn(other)]).toEqual([400, 'invalid connector name github']);
  });
});

describe('logging in over the web port', () => {
  const signed = {
    username: 'alice',
    sshCertificate: 'ssh-ed25519-cert-v01@openssh.com AAAA',
    tlsCertificatePem: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n',
    hostSigners: [{ clusterName: 'example', checkingKeys: [line], tlsCertificatesPem: ['PEM'] }],
  };

  it('passes on what was asked for, with the true address, and answers as stock clients expect', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => signed);
    const answer = await post(web, login);
    expect(web.auth.asked).toEqual([
      {
        name: 'user.log-in',
        input: {
          username: 'alice',
          password: 'secret words',
          otp: '709184',
          publicKey: line,
          ttlSeconds: 43_200,
          format: 'standard',
          routeToCluster: '',
          clientAddress: '192.0.2.9:4711',
          addressIsShared: false,
        },
      },
    ]);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      username: 'alice',
      cert: toBase64(`${signed.sshCertificate}\n`),
      tls_cert: toBase64(signed.tlsCertificatePem),
      host_signers: [
        { domain_name: 'example', checking_keys: [toBase64(`${line}\n`)], tls_certs: [toBase64('PEM')] },
      ],
    });
  });
  it('takes the hotp token first, the old format, and a route', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => signed);
    await post(web, { ...login, hotp_token: '111111', compatibility: 'oldssh', RouteToCluster: 'leaf' });
    expect(web.auth.asked[0]?.input).toMatchObject({
      otp: '111111',
      format: 'oldssh',
      routeToCluster: 'leaf',
    });
  });
  it('gives the refusal of auth in its own words', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => {
      throw new CodedError('access_denied', 'invalid username, password or second factor');
    });
    const answer = await post(web, login);
    expect([answer.status, await messageIn(answer)]).toEqual([
      403,
      'invalid username, password or second factor',
    ]);
    expect(answer.headers.get('cache-control')).toBe('no-cache, no-store, must-revalidate');
  });
  it('tells that too many came', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => {
      throw new CodedError('limit_exceeded', 'too many failed attempts, try again in 5 s', {
        retryAfterMs: 4_100,
      });
    });
    const answer = await post(web, login);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '5']);
    expect(await messageIn(answer)).toBe('too many failed attempts, try again in 5 s');
  });
  it('does not tell a stranger where auth servers are; the log says it', async () => {
    const web = testWeb();
    const answer = await post(web, login);
    expect(answer.status).toBe(503);
    expect(await messageIn(answer)).toMatch(
      /^the cluster cannot answer now, try again in a moment \(request .+\)$/,
    );
    expect(web.sink.lines.join('\n')).toContain('10.0.0.5:3025');
  });
  it('says that the store is full, and tells the log alone which', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => {
      throw new CodedError('no_space', 'the store of auth server auth1 has no room: the disk of /var/lib/x');
    });
    const answer = await post(web, login);
    expect(answer.status).toBe(507);
    expect(await messageIn(answer)).toMatch(
      /^the cluster's store is full, so that nothing can be recorded: tell its administrator.* \(request .+\)$/,
    );
    expect(web.sink.lines.join('\n')).toContain('the disk of /var/lib/x');
  });
  it('tells nothing of a bug, but where to find it', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => {
      throw new TypeError('x is undefined');
    });
    const answer = await post(web, login);
    expect(answer.status).toBe(500);
    expect(await messageIn(answer)).toMatch(/^internal error, request \S+$/);
    expect(web.sink.lines.join('\n')).toContain('x is undefined');
  });
  it.each([
    ['no JSON', 'nonsense', 'the request is not JSON'],
    ['a key that is no base64', { ...login, pub_key: '***' }, 'pub_key: not base64'],
  ])('refuses %s', async (_what, body, message) => {
    const web = testWeb();
    const answer = await post(web, body);
    expect([answer.status, await messageIn(answer)]).toEqual([400, message]);
    expect(web.auth.asked).toEqual([]);
  });
  it('refuses a body without end', async () => {
    const answer = await post(testWeb(), 'x'.repeat(300_000));
    expect([answer.status, await messageIn(answer)]).toEqual([413, 'the request is too large']);
  });
  it('believes a forwarded address only of a listed balancer', async () => {
    const web = testWeb();
    web.auth.on(logIn, () => signed);
    await web.request('/v1/webapi/ssh/certs', {
      method: 'POST',
      body: JSON.stringify(login),
      headers: { 'x-forwarded-for': '198.51.100.1' },
    });
    expect(web.auth.asked[0]?.input).toMatchObject({ clientAddress: '192.0.2.9:4711' });
  });
  it('passes on the address of a listed balancer beside the one that it forwarded', async () => {
    const web = testWeb({ balancers: balancersOf(['192.0.2.9']) });
    web.auth.on(logIn, () => signed);
    await web.request('/v1/webapi/ssh/certs', {
      method: 'POST',
      body: JSON.stringify(login),
      headers: { 'x-forwarded-for': '198.51.100.1' },
    });
    expect(web.auth.asked[0]?.input).toMatchObject({
      clientAddress: '198.51.100.1:0',
      balancerAddress: '192.0.2.9:4711',
    });
  });
});

describe('setting a password by token', () => {
  const invited = (): TestWeb => {
    const web = testWeb();
    web.auth.on(readInvite, () => openLinkFor());
    web.auth.on(acceptInvite, () => ({ username: 'alice' }));
    return web;
  };
  const put = (web: TestWeb, headers: Record<string, string>): Promise<Response> =>
    web.request('/v1/webapi/users/password/token', {
      method: 'PUT',
      headers,
      body: JSON.stringify({ token, password: toBase64('pässword'), second_factor_token: '123456' }),
    });

  it('shows whose it is, and the one-time secret as a picture', async () => {
    const answer = await invited().request(`/v1/webapi/users/password/token/${token}`);
    const shown = (await answer.json()) as { tokenId: string; user: string; qrCode: string };
    expect(shown).toMatchObject({ tokenId: token, user: 'alice' });
    expect(Buffer.from(shown.qrCode, 'base64').subarray(1, 4).toString()).toBe('PNG');
  });
  it('takes the password out of base64', async () => {
    const web = invited();
    const answer = await put(web, { 'x-csrf-token': csrf, cookie: `__Host-grv_csrf=${csrf}` });
    expect(answer.status).toBe(200);
    expect(web.auth.asked[0]?.input).toEqual({
      token,
      password: 'pässword',
      otp: '123456',
      clientAddress: '192.0.2.9:4711',
    });
  });
  it.each([
    ['neither cookie nor header', {}],
    ['no cookie', { 'x-csrf-token': csrf }],
    ['no header', { cookie: `__Host-grv_csrf=${csrf}` }],
    ['two values', { 'x-csrf-token': csrf, cookie: `__Host-grv_csrf=${'cd'.repeat(32)}` }],
    ['a value that is no 32 bytes in hex', { 'x-csrf-token': 'x', cookie: '__Host-grv_csrf=x' }],
    ['a cookie that is no 32 bytes in hex', { 'x-csrf-token': csrf, cookie: '__Host-grv_csrf=x' }],
    ['a header that is no 32 bytes in hex', { 'x-csrf-token': 'x', cookie: `__Host-grv_csrf=${csrf}` }],
    ['the cookie of plain HTTP', { 'x-csrf-token': csrf, cookie: `grv_csrf=${csrf}` }],
  ])('is refused with %s', async (_what, headers) => {
    const web = invited();
    expect((await put(web, headers)).status).toBe(403);
    expect(web.auth.asked).toEqual([]);
  });
  it('has one answer for whatever is no token, without asking auth', async () => {
    const web = invited();
    for (const text of ['x', `${token}0`, token.toUpperCase(), '%00', 'x'.repeat(1000)]) {
      const answer = await web.request(`/v1/webapi/users/password/token/${text}`);
      expect([answer.status, await messageIn(answer)]).toEqual([403, invalidLink().message]);
    }
    expect(web.auth.asked).toEqual([]);
  });
});

describe('asking for what is not there', () => {
  it.each(['/webapi/nothing', '/v1/webapi/nothing', '/v1/nothing', '/v2/users', '/nothing', '/web/invite'])(
    '%s is a real 404 in JSON',
    async (path) => {
      const answer = await testWeb().request(path);
      expect(answer.status).toBe(404);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
      expect(await messageIn(answer)).toBe(`there is no GET ${path} here`);
    },
  );
});
