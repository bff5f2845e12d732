import { timingSafeEqual } from 'node:crypto';
import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { CodedError } from '../base/errors.ts';
import type { WebEnv } from './web-env.ts';

const form = /^[0-9a-f]{64}$/;
/** `__Host-` cookies need TLS; behind a balancer that ends it the browser still sees https, so both are read. */
const secureName = '__Host-grv_csrf';
const plainName = 'grv_csrf';

const stored = (c: Context<WebEnv>): string | undefined =>
  getCookie(c, secureName) ?? getCookie(c, plainName);

/** The value this browser holds, or a new one in a cookie: whoever posts a form must show it. */
export function csrfToken(c: Context<WebEnv>, randomHex: () => string): string {
  const held = stored(c);
  if (held !== undefined && form.test(held)) return held;
  const made = randomHex();
  const secure = c.env.secure;
  setCookie(c, secure ? secureName : plainName, made, {
    path: '/',
    httpOnly: true,
    secure,
    sameSite: 'Strict',
  });
  return made;
}

/**
 * Refuses a request whose form or header does not show the value of the cookie.
 * @throws CodedError `access_denied`
 */
export function checkCsrf(c: Context<WebEnv>, shown: string | undefined): void {
  const held = stored(c);
  const good =
    held !== undefined &&
    shown !== undefined &&
    form.test(held) &&
    form.test(shown) &&
    timingSafeEqual(Buffer.from(held), Buffer.from(shown));
  if (!good)
    throw new CodedError('access_denied', 'the form is not from this site, or too old: open the link again');
}
