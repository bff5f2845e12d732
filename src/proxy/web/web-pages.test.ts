import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { acceptInvite, readInvite } from '../../api/operations/invite.ts';
import { CodedError } from '../../base/errors.ts';
import { invalidLink } from '../../domain/invite.ts';
import { balancersOf } from '../client-address.ts';
import { openLinkFor, testWeb, type TestWeb } from '../testing.ts';
import type { WebDeps } from './web-env.ts';

const token = '0123456789abcdef0123456789abcdef';
const path = `/web/invite/${token}`;
const secret = 'JBSWY3DPEHPK3PXP';

function invited(wish: Partial<WebDeps> = {}, username = 'alice'): TestWeb {
  const web = testWeb(wish);
  web.auth.on(readInvite, () => openLinkFor({ username }));
  web.auth.on(acceptInvite, () => ({ username }));
  return web;
}
const refusing = (code: 'bad_request' | 'access_denied' | 'limit_exceeded', message: string): TestWeb => {
  const web = invited();
  web.auth.on(acceptInvite, () => {
    throw new CodedError(code, message);
  });
  return web;
};

interface Form {
  readonly password?: string;
  readonly again?: string;
  readonly code?: string;
  readonly username?: string;
  readonly purpose?: string;
  readonly shown?: string;
}
/** What a person reads. */
const wordsOf = (page: string): string => page.replace(/<[^>]*>/g, '');
type Socket = Parameters<TestWeb['request']>[2];

/** Opens the page as a browser does, then sends its form with the cookie it was given. */
async function submit(web: TestWeb, form: Form = {}, socket: Socket = {}): Promise<Response> {
  const page = await web.request(path, {}, socket);
  const cookie = /^[^;]+/.exec(page.headers.get('set-cookie') ?? '')?.[0] ?? '';
  const csrf = /name="csrf" value="([0-9a-f]{64})"/.exec(await page.text())?.[1] ?? '';
  return send(
    web,
    { csrf, password: 'long enough', again: 'long enough', code: '123456', ...form },
    cookie,
    socket,
  );
}
const send = (
  web: TestWeb,
  form: Record<string, string>,
  cookie: string,
  socket: Socket = {},
): Promise<Response> =>
  web.request(path, { method: 'POST', body: new URLSearchParams(form), headers: { cookie } }, socket);

describe('the page of an invite', () => {
  it('says who is invited and shows the one-time secret as a picture and for typing', async () => {
    const answer = await invited().request(path);
    const text = await answer.text();
    expect(answer.status).toBe(200);
    expect(text).toContain('<h1>Welcome, alice</h1>');
    expect(text).toMatch(/<img\s+src="data:image\/png;base64,/);
    expect(text).toContain('JBSW Y3DP EHPK 3PXP');
    expect(text).toContain(
      `href="otpauth://totp/Teleport:alice@example?secret=${secret}&amp;issuer=Teleport"`,
    );
  });
  it('asks for no code when the cluster wants none', async () => {
    const web = invited();
    web.auth.on(readInvite, () => openLinkFor({ purpose: 'reset', secondFactor: 'off', otpUrl: '' }));
    const text = await (await web.request(`/web/reset/${token}`)).text();
    expect(text).toContain('<h1>A new password for alice</h1>');
    expect(text).not.toMatch(/one-time|<img/i);
  });
  it('writes no name of a user as markup', async () => {
    const text = await (await invited({}, '<script>x</script>').request(path)).text();
    expect(text).not.toContain('<script');
    expect(text).toContain('&lt;script&gt;');
  });
  it('sends headers that let in nothing from elsewhere and keep the link a secret', async () => {
    const answer = await invited().request(path);
    const style = /<style>([\s\S]*?)<\/style>/.exec(await answer.text())?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(answer.headers.get('content-security-policy')).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; form-action 'self'; ` +
        "frame-ancestors 'none'; base-uri 'none'",
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('x-frame-options')).toBe('DENY');
    expect(answer.headers.get('strict-transport-security')).toBe('max-age=31536000');
  });
  it('needs no script and asks for nothing else', async () => {
    const text = await (await invited().request(path)).text();
    expect(text).not.toMatch(/<script|<link|\son\w+=|style="/i);
  });
  it('tells browsers to come by TLS only where plain HTTP is not served on purpose', async () => {
    const both = await invited({ tlsOnly: false }).request(path);
    expect(both.headers.get('strict-transport-security')).toBeNull();
    const plain = await invited().request(path, {}, { encrypted: false });
    expect(plain.headers.get('strict-transport-security')).toBeNull();
  });
  it('is opened from the address that came, and not by who only asks whether it is there', async () => {
    const web = invited();
    expect((await web.request(path, { method: 'HEAD' })).status).toBe(200);
    expect(web.auth.asked).toEqual([]);
    await web.request(path);
    expect(web.auth.asked).toEqual([
      { name: 'invite.read', input: { token, clientAddress: '192.0.2.9:4711' } },
    ]);
  });
  it('has one answer for every link that does not work', async () => {
    const web = testWeb();
    web.auth.on(readInvite, () => {
      throw invalidLink();
    });
    const texts = new Set<string>();
    for (const bad of [token, 'x', 'f'.repeat(300)]) {
      const answer = await web.request(`/web/invite/${bad}`);
      expect(answer.status).toBe(403);
      texts.add(await answer.text());
    }
    expect(texts.size).toBe(1);
    expect([...texts][0]).toContain('Bad or expired token');
  });
});

describe('the cookie of the form', () => {
  const cookieOf = async (web: TestWeb, init: RequestInit = {}, socket: Socket = {}): Promise<string> =>
    (await web.request(path, init, socket)).headers.get('set-cookie') ?? '';

  it('is bound to this host over TLS', async () => {
    expect(await cookieOf(invited())).toMatch(
      /^__Host-grv_csrf=[0-9a-f]{64}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
  });
  it('is one that a browser keeps over plain HTTP', async () => {
    expect(await cookieOf(invited(), {}, { encrypted: false })).toMatch(
      /^grv_csrf=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Lax$/,
    );
  });
  it('is bound to this host when a listed balancer ends TLS, and only then', async () => {
    const headers = { 'x-forwarded-proto': 'https' };
    const listed = invited({ balancers: balancersOf(['192.0.2.0/24']) });
    expect(await cookieOf(listed, { headers }, { encrypted: false })).toMatch(/^__Host-/);
    expect(await cookieOf(invited(), { headers }, { encrypted: false })).toMatch(/^grv_csrf/);
  });
  it('stays the same for a second page, so that both forms work', async () => {
    const cookie = `__Host-grv_csrf=${'ab'.repeat(32)}`;
    const answer = await invited().request(path, { headers: { cookie } });
    expect(answer.headers.get('set-cookie')).toBeNull();
    expect(await answer.text()).toContain(`value="${'ab'.repeat(32)}"`);
  });
  it.each(['x', '', 'AB'.repeat(32), 'ab'.repeat(33)])('is new where the browser sends %j', async (value) => {
    const headers = { cookie: `__Host-grv_csrf=${value}` };
    expect(await cookieOf(invited(), { headers })).toMatch(/^__Host-grv_csrf=[0-9a-f]{64};/);
  });
});

describe('sending the form', () => {
  it('sets the password and tells what to type next', async () => {
    const web = invited();
    const answer = await submit(web, { code: ' 123456 ' });
    expect(answer.status).toBe(200);
    expect(wordsOf(await answer.text())).toContain('tsh login --proxy=proxy.example.com:3080 --user=alice');
    expect(web.auth.asked.at(-1)).toEqual({
      name: 'invite.accept',
      input: { token, password: 'long enough', otp: '123456', clientAddress: '192.0.2.9:4711' },
    });
  });
  it('works over plain HTTP', async () => {
    expect((await submit(invited(), {}, { encrypted: false })).status).toBe(200);
  });
  it.each([
    ['without the cookie', ''],
    ['with the cookie of plain HTTP over TLS', `grv_csrf=${'ab'.repeat(32)}`],
    ['with another value', `__Host-grv_csrf=${'cd'.repeat(32)}`],
  ])('is refused %s, and may be sent again', async (_what, cookie) => {
    const web = invited();
    const csrf = 'ab'.repeat(32);
    const answer = await send(
      web,
      { csrf, password: 'long enough', again: 'long enough', code: '1' },
      cookie,
    );
    expect(answer.status).toBe(403);
    const text = await answer.text();
    expect(text).toContain('role="alert"');
    expect(text).toContain('<form method="post"');
    expect(web.auth.asked.map(({ name }) => name)).toEqual(['invite.read']);
  });
  it('says beside the field that two passwords differ, asking auth for nothing', async () => {
    const web = invited();
    const answer = await submit(web, { again: 'something else' });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toMatch(
      /id="again"[^>]*aria-describedby="again-fault"[^>]*aria-invalid="true"/,
    );
    expect(web.auth.asked.map(({ name }) => name)).not.toContain('invite.accept');
  });
  it.each([
    ['password', 'bad_request', 'password is too short, it must have at least 6 characters'],
    ['code', 'access_denied', 'the one-time code does not fit: scan the picture again'],
    ['code', 'bad_request', 'otp: too big'],
  ] as const)('says beside %s: %s %s', async (field, code, message) => {
    const answer = await submit(refusing(code, message));
    expect(answer.status).toBe(400);
    const text = await answer.text();
    expect(text).toContain('<title>Error: Welcome, alice</title>');
    expect(text).toMatch(new RegExp(`id="${field}-fault" role="alert">.${message.slice(1)}\\.`));
    expect(text).toMatch(new RegExp(`id="${field}"[^>]*aria-invalid="true"[^>]*autofocus`));
    expect(text).not.toContain('long enough');
  });
  it('keeps the form when too many came, or auth is away', async () => {
    const many = await submit(refusing('limit_exceeded', 'too many attempts'));
    expect([many.status, await many.text()]).toEqual([429, expect.stringContaining('Too many attempts.')]);
    const web = invited();
    web.auth.on(acceptInvite, () => {
      throw new CodedError('unavailable', 'no auth server answers: 10.0.0.5:3025');
    });
    const away = await submit(web);
    expect(away.status).toBe(503);
    expect(await away.text()).not.toContain('10.0.0.5');
    expect(web.sink.lines.join('\n')).toContain('10.0.0.5');
  });
  it('shows the same picture again when something was typed wrongly, and opens nothing for it', async () => {
    const web = refusing('bad_request', 'password is too short, it must have at least 6 characters');
    for (const form of [{}, { again: 'something else' }]) {
      const before = web.auth.asked.filter(({ name }) => name === 'invite.read').length;
      const url = `otpauth://totp/Teleport:alice%40example?secret=${secret}&issuer=Teleport`;
      const answer = await submit(web, { ...form, username: 'alice', purpose: 'invite', shown: url });
      expect(await answer.text()).toContain('JBSW Y3DP EHPK 3PXP');
      // That of the page itself.
      expect(web.auth.asked.filter(({ name }) => name === 'invite.read')).toHaveLength(before + 1);
    }
  });
  it('opens the link anew when the form is not one of ours', async () => {
    const shown = { username: 'alice', purpose: 'invite', shown: `otpauth://totp/a:b?secret=${secret}` };
    for (const forged of [
      { ...shown, shown: 'javascript:alert(1)' },
      { ...shown, username: '<b>' },
      { ...shown, purpose: 'x' },
    ]) {
      const web = invited();
      const answer = await submit(web, { ...forged, again: 'something else' });
      expect(web.auth.asked.map(({ name }) => name)).toEqual(['invite.read', 'invite.read']);
      expect(await answer.text()).not.toContain('javascript:');
    }
  });
  it('says that the link does not work when it was used meanwhile', async () => {
    const answer = await submit(refusing('access_denied', invalidLink().message));
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('This link does not work');
  });
  it('refuses a form without end', async () => {
    expect((await submit(invited(), { password: 'x'.repeat(300_000) })).status).toBe(413);
  });
});

describe('the door', () => {
  it.each(['/', '/web'])('%s leads to the page that says what this is', async (from) => {
    const answer = await testWeb().request(from);
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/web/login']);
  });
  it('tells how to log in', async () => {
    const text = await (await testWeb().request('/web/login')).text();
    expect(wordsOf(text)).toContain('tsh login --proxy=proxy.example.com:3080 --user=you');
  });
  it.each([
    ['proxy.internal:3080', 'proxy.internal:3080'],
    ['proxy.internal', 'proxy.internal:443'],
    ['[fd00::1]', '[fd00::1]:443'],
    ['x;reboot', '&lt;proxy&gt;:3080'],
  ])('without a public address goes by the name the browser came by: %s', async (host, shown) => {
    const web = testWeb({ publicAddress: '' });
    const text = await (await web.request('/web/login', { headers: { host } })).text();
    expect(wordsOf(text)).toContain(`--proxy=${shown} `);
  });
});
