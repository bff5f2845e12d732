import { Hono, type Context } from 'hono';
import QRCode from 'qrcode';
import { acceptInvite } from '../../api/operations/invite.ts';
import { readBody } from '../../api/read-body.ts';
import { isCoded } from '../../base/errors.ts';
import { isUserName } from '../../domain/names.ts';
import { cameFrom } from './came-from.ts';
import { checkCsrf, csrfToken } from './csrf.ts';
import { checkToken, openLink, type OpenLink } from './open-link.ts';
import {
  credentialsPage,
  donePage,
  landingPage,
  messagePage,
  type Fault,
  type OneTimeSecret,
} from './pages.ts';
import type { WebDeps, WebEnv } from './web-env.ts';
import { publicError, setRetryAfter } from './web-errors.ts';

const maxFormBytes = 200 * 1024;
const csrfBytes = 32;

/** The pages for people: the start page, invite and reset links. */
export function webPages(deps: WebDeps): Hono<WebEnv> {
  const { clusterName } = deps;
  const pages = new Hono<WebEnv>();
  pages.onError((e, c) => {
    const { status, message } = publicError(c, e, deps.sink);
    setRetryAfter(c, e);
    const title = status === 403 ? 'This link does not work' : 'This did not work';
    return c.html(messagePage({ title, message: sentence(message), clusterName }), status);
  });
  pages.get('/', (c) => c.redirect('/web/login'));
  pages.get('/web', (c) => c.redirect('/web/login'));
  pages.get('/web/login', (c) =>
    c.html(landingPage({ clusterName, proxyAddress: proxyAddressFor(c, deps) })),
  );
  for (const path of ['/web/invite/:token', '/web/reset/:token']) {
    pages.get(path, async (c) => {
      // A request that only checks whether the page exists gets no content, and opens nothing.
      if (c.req.method === 'HEAD') return c.body(null);
      return show(c, deps, await open(c, deps, c.req.param('token') ?? ''));
    });
    pages.post(path, (c) => submit(c, deps, c.req.param('token') ?? ''));
  }
  return pages;
}

const open = (c: Context<WebEnv>, { auth }: WebDeps, token: string): Promise<OpenLink> =>
  openLink(auth, token, c.get('origin').address);

/** The content of the page. */
type Shown = Pick<OpenLink, 'username' | 'purpose' | 'otpUrl'>;
type FormFault = Fault & { readonly status: 400 | 403 | 429 | 503 };

async function show(
  c: Context<WebEnv>,
  { clusterName, world }: WebDeps,
  { username, purpose, otpUrl }: Shown,
  fault?: FormFault,
): Promise<Response> {
  const csrf = csrfToken(c, () => Buffer.from(world.randomBytes(csrfBytes)).toString('hex'));
  const fields = { username, purpose, clusterName, csrf, otp: await oneTimeSecret(otpUrl) };
  return fault === undefined
    ? c.html(credentialsPage(fields))
    : c.html(credentialsPage({ ...fields, fault }), fault.status);
}

async function oneTimeSecret(url: string): Promise<OneTimeSecret | undefined> {
  if (url === '') return undefined;
  return {
    url,
    qrDataUri: await QRCode.toDataURL(url, { width: 448, margin: 3 }),
    secret: new URL(url).searchParams.get('secret') ?? '',
  };
}

/** The fields of our own form, as browsers send it; empty for a body in another form. */
async function readForm(c: Context<WebEnv>): Promise<URLSearchParams> {
  const body = await readBody(c, maxFormBytes);
  const type = c.req.header('content-type') ?? '';
  return new URLSearchParams(/^application\/x-www-form-urlencoded\b/i.test(type) ? body : '');
}

async function submit(c: Context<WebEnv>, deps: WebDeps, token: string): Promise<Response> {
  checkToken(token);
  const form = await readForm(c);
  const field = (name: string): string => form.get(name) ?? '';
  try {
    checkCsrf(c, field('csrf'));
  } catch (e) {
    if (!isCoded(e, 'access_denied')) throw e;
    const fault: FormFault = { field: 'form', message: sentence(e.message), status: 403 };
    return show(c, deps, await open(c, deps, token), fault);
  }
  const again = async (fault: FormFault): Promise<Response> =>
    show(c, deps, shownIn(field) ?? (await open(c, deps, token)), fault);
  if (field('password') !== field('again'))
    return again({ field: 'again', message: 'The two passwords differ.', status: 400 });
  try {
    const { username } = await deps.auth.call(acceptInvite, {
      token,
      password: field('password'),
      otp: field('code').trim(),
      ...cameFrom(c.get('origin')),
    });
    const { clusterName } = deps;
    return await c.html(donePage({ username, clusterName, proxyAddress: proxyAddressFor(c, deps) }));
  } catch (e) {
    const fault = faultOf(e);
    if (fault === undefined) throw e;
    if (fault.status === 503) publicError(c, e, deps.sink); // this logs it
    setRetryAfter(c, e);
    return again(fault);
  }
}

const shownUrl = /^otpauth:\/\/totp\/[A-Za-z0-9%:@._+!'*~-]{1,1024}\?[A-Za-z0-9%=&]{1,256}$/;

/**
 * The page as this browser was shown it, from the form that it sent with the secret of its cookie. So a
 * person who mistypes something need not scan again, and a page that is not opened again shows its one-time
 * secret to nobody who has not seen it. Undefined when the form is not one of ours: then the link has to be
 * opened again.
 */
function shownIn(field: (name: string) => string): Shown | undefined {
  const [username, purpose, otpUrl] = [field('username'), field('purpose'), field('shown')];
  if (!isUserName(username) || (purpose !== 'invite' && purpose !== 'reset')) return undefined;
  return otpUrl === '' || shownUrl.test(otpUrl) ? { username, purpose, otpUrl } : undefined;
}

/**
 * Which field of the form a refusal is about; undefined when it is about the link itself, or nobody's fault.
 */
function faultOf(e: unknown): (Fault & { status: 400 | 429 | 503 }) | undefined {
  if (!isCoded(e)) return undefined;
  const message = sentence(e.message);
  if (e.code === 'limit_exceeded') return { field: 'form', message, status: 429 };
  if (e.code === 'unavailable')
    return { field: 'form', message: 'The cluster cannot answer now. Try again in a moment.', status: 503 };
  if (e.code !== 'bad_request' && e.code !== 'access_denied') return undefined;
  if (/^(the )?password/i.test(e.message)) return { field: 'password', message, status: 400 };
  if (/^(otp|the one-time code)/i.test(e.message)) return { field: 'code', message, status: 400 };
  return e.code === 'bad_request' ? { field: 'form', message, status: 400 } : undefined;
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

const hostForm = /^(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * What to type after `--proxy=`: the configured name, else the one that the browser used. Always with a port.
 */
export function proxyAddressFor(c: Context<WebEnv>, deps: Pick<WebDeps, 'publicAddress'>): string {
  if (deps.publicAddress !== '') return deps.publicAddress;
  const host = c.req.header('host') ?? '';
  if (!hostForm.test(host)) return '<proxy>:3080';
  return /:\d+$/.test(host) ? host : `${host}:${c.get('origin').secure ? 443 : 80}`;
}
