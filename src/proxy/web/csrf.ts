import { timingSafeEqual } from 'node:crypto';
import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { CodedError } from '../../base/errors.ts';
import type { WebEnv } from './web-env.ts';

/** 32 bytes, as clients of 4.4 make it. */
const form = /^[0-9a-f]{64}$/;

/**
 * Over TLS the name begins with `__Host-`, so that no other host of the domain and nobody on the network can
 * plant one; a browser accepts such a cookie only over TLS. Over plain HTTP it has another name, which never
 * counts over TLS.
 */
const cookieName = (secure: boolean): string => (secure ? '__Host-grv_csrf' : 'grv_csrf');

/** The value in this browser's cookie, or a new one: whoever posts a form must show it. */
export function csrfToken(c: Context<WebEnv>, randomHex: () => string): string {
  const { secure } = c.get('origin');
  const name = cookieName(secure);
  const held = getCookie(c, name);
  if (held !== undefined && form.test(held)) return held;
  const made = randomHex();
  // Lax: a second link opened from a mail must send the value of the first, or one of both forms would be
  // refused. Another site's POST does not send it.
  setCookie(c, name, made, { path: '/', httpOnly: true, secure, sameSite: 'Lax' });
  return made;
}

/**
 * Refuses a request whose form or header does not show the value of the cookie.
 * @throws CodedError `access_denied`
 */
export function checkCsrf(c: Context<WebEnv>, shown: string | undefined): void {
  const held = getCookie(c, cookieName(c.get('origin').secure));
  const good =
    held !== undefined &&
    shown !== undefined &&
    form.test(held) &&
    form.test(shown) &&
    timingSafeEqual(Buffer.from(held), Buffer.from(shown));
  if (!good)
    throw new CodedError(
      'access_denied',
      'this form was not sent from this site, or its cookie is gone: cookies must be allowed here. Please try again',
    );
}
