import { Hono, type Context } from 'hono';
import type { z } from 'zod';
import { beginCodeDevice, changePassword, setCodeDevice } from '../../api/operations/user-own.ts';
import type { Claim } from '../../api/operations/user.ts';
import { readBody } from '../../api/read-body.ts';
import { cameFrom } from './came-from.ts';
import { deviceCodeRequest, deviceRequest, fromBase64, passwordRequest, readJson } from './api-requests.ts';
import { checkToken } from './open-link.ts';
import type { WebDeps, WebEnv } from './web-env.ts';

const maxBodyBytes = 256 * 1024;

/**
 * What people change of their own, by `tsh`. Each request brings what proves who sends it, and no cookie
 * counts: a page of somebody else has nothing to send in a person's name.
 */
export function ownApi({ auth }: Pick<WebDeps, 'auth'>): Hono<WebEnv> {
  const api = new Hono<WebEnv>();
  api.put('/password', async (c) => {
    const asked = readJson(await readBody(c, maxBodyBytes), passwordRequest);
    const newPassword = fromBase64(asked.new_password, 'new_password');
    const { username } = await auth.call(changePassword, { ...claimOf(c, asked), newPassword });
    return c.json({ user: username });
  });
  api.post('/device', async (c) => {
    const asked = readJson(await readBody(c, maxBodyBytes), deviceRequest);
    const { username, token, otpUrl, expiresAt } = await auth.call(beginCodeDevice, claimOf(c, asked));
    return c.json({ user: username, token, otp_url: otpUrl, expires: expiresAt });
  });
  api.put('/device', async (c) => {
    const asked = readJson(await readBody(c, maxBodyBytes), deviceCodeRequest);
    checkToken(asked.token);
    const { username } = await auth.call(setCodeDevice, {
      token: asked.token,
      otp: asked.second_factor_token,
      ...cameFrom(c.get('origin')),
    });
    return c.json({ user: username });
  });
  return api;
}

function claimOf(
  c: Context<WebEnv>,
  { user, old_password, second_factor_token }: z.output<typeof deviceRequest>,
): Claim {
  const origin = c.get('origin');
  return {
    username: user,
    password: fromBase64(old_password, 'old_password'),
    otp: second_factor_token,
    ...cameFrom(origin),
    addressIsShared: origin.shared,
  };
}
