import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { operation } from '../operation.ts';
import { cameFrom, otp, password, username } from './fields.ts';
import { claim } from './user.ts';

/*
 * What people change of their own. Where the password and the code prove who it is, the call comes through a
 * proxy, as a login does, and no certificate is needed: it may have ended.
 */

export const changePassword = operation({
  name: 'user.change-password',
  who: ['Proxy'],
  resource: 'user',
  verb: 'update',
  input: claim.extend({ newPassword: password }),
  output: z.object({ username }),
});

/**
 * Makes the secret of a new code device. The current one counts until `user.set-code-device` proves that the
 * new one has the secret.
 */
export const beginCodeDevice = operation({
  name: 'user.begin-code-device',
  who: ['Proxy'],
  resource: 'user',
  verb: 'update',
  input: claim,
  output: z.object({ username, token: z.string(), otpUrl: z.string(), expiresAt: instant }),
});

export const setCodeDevice = operation({
  name: 'user.set-code-device',
  who: ['Proxy'],
  resource: 'user',
  verb: 'update',
  input: z.object({ token: z.string().max(128), otp, ...cameFrom }),
  output: z.object({ username }),
});

/** The caller's own. */
export const listDevices = operation({
  name: 'user.list-devices',
  repeatable: true,
  who: ['user'],
  resource: 'user',
  verb: 'readnosecrets',
  input: z.object({}),
  output: z.object({
    devices: z.array(
      z.object({
        type: z.string(),
        addedAt: instant,
        /** When its last code that was used was valid. */
        lastUsedAt: instant,
      }),
    ),
  }),
});
