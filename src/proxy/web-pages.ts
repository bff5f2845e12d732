import { createHash, randomBytes } from 'node:crypto';
import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import QRCode from 'qrcode';
import { acceptInvite, readInvite } from '../api/operations.ts';
import type { OutputOf } from '../api/operation.ts';
import { isCoded } from '../base/errors.ts';
import { clientAddress } from './client-address.ts';
import { checkCsrf, csrfToken } from './csrf.ts';
import { credentialsPage, donePage, landingPage, messagePage, style, type FormFields } from './pages.ts';
import type { WebDeps, WebEnv } from './web-env.ts';
import { publicError } from './web-errors.ts';

type Invite = OutputOf<typeof readInvite>;

const styleHash = createHash('sha256').update(style).digest('base64');
/** Nothing from elsewhere, no script at all, no frame, and forms only back to here. */
const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;
const maxFormBytes = 200 * 1024;

/** The pages for people: the door, invite and reset links. */
export function webPages(deps: WebDeps): Hono<WebEnv> {
  const pages = new Hono<WebEnv>();
  pages.use(async (c, next) => {
    await next();
    c.header('Content-Security-Policy', policy);
    c.header('Cache-Control', 'no-store');
  });
  pages.onError((e, c) => {
    const { status, message } = publicError(e, deps.sink, c.get('requestId'));
    return c.html(
      messagePage(status === 403 ? 'This link does not work' : 'This did not work', message),
      status,
    );
  });
  const proxyAddress = (c: Context<WebEnv>): string =>
    deps.publicAddress === '' ? (c.req.header('host') ?? 'this-proxy:3080') : deps.publicAddress;

  const show = async (c: Context<WebEnv>, invite: Invite, fault?: FormFields['fault']): Promise<Response> => {
    const otp =
      invite.otpUrl === ''
        ? undefined
        : {
            qrDataUri: await QRCode.toDataURL(invite.otpUrl, { width: 448, margin: 2 }),
            secret: new URL(invite.otpUrl).searchParams.get('secret') ?? '',
          };
    const csrf = csrfToken(c, () => randomBytes(32).toString('hex'));
    const { username, purpose } = invite;
    const fields = { username, purpose, clusterName: deps.clusterName(), csrf, otp };
    return c.html(
      credentialsPage(fault === undefined ? fields : { ...fields, fault }),
      fault === undefined ? 200 : 400,
    );
  };
  const submit = async (c: Context<WebEnv>, token: string): Promise<Response> => {
    const form = await c.req.parseBody();
    const field = (name: string): string => (typeof form[name] === 'string' ? form[name] : '');
    checkCsrf(c, field('csrf'));
    const invite = await deps.auth.call(readInvite, { token });
    if (field('password') !== field('again'))
      return show(c, invite, { field: 'again', message: 'The two passwords are not the same.' });
    try {
      const { username } = await deps.auth.call(acceptInvite, {
        token,
        password: field('password'),
        otp: field('code'),
        clientAddress: clientAddress(c.env.incoming),
      });
      return await c.html(
        donePage({ username, clusterName: deps.clusterName(), proxyAddress: proxyAddress(c) }),
      );
    } catch (e) {
      const fault = faultOf(e);
      if (fault === undefined) throw e;
      return show(c, invite, fault);
    }
  };

  for (const path of ['/web/invite/:token', '/web/reset/:token']) {
    pages.get(path, async (c) =>
      show(c, await deps.auth.call(readInvite, { token: c.req.param('token') ?? '' })),
    );
    pages.post(path, bodyLimit({ maxSize: maxFormBytes }), (c) => submit(c, c.req.param('token') ?? ''));
  }
  pages.get('/', (c) => c.redirect('/web'));
  pages.get('/web', (c) =>
    c.html(landingPage({ clusterName: deps.clusterName(), proxyAddress: proxyAddress(c) })),
  );
  return pages;
}

/** Which field of the form a refusal is about; undefined when it is about none (the link itself). */
function faultOf(e: unknown): FormFields['fault'] | undefined {
  if (!isCoded(e, 'bad_request') && !isCoded(e, 'access_denied')) return undefined;
  if (/^password/i.test(e.message)) return { field: 'password', message: e.message };
  if (/code/i.test(e.message)) return { field: 'code', message: e.message };
  return e.code === 'bad_request' ? { field: 'form', message: e.message } : undefined;
}
