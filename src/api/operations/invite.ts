import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { operation } from '../operation.ts';
import { cameFrom, otp, password, username } from './fields.ts';

/**
 * Opens an invite or reset link and returns what its page shows. Each time it has another one-time secret,
 * and the last one is valid.
 */
export const readInvite = operation({
  name: 'invite.read',
  repeatable: true,
  who: ['Proxy'],
  resource: 'user_token',
  verb: 'read',
  input: z.object({
    token: z.string().max(128),
    /**
     * `ip:port` of the person who opens it. Left out by proxies of older releases, which show one secret
     * again.
     */
    clientAddress: z.string().max(300).optional(),
  }),
  output: z.object({
    username,
    purpose: z.enum(['invite', 'reset']),
    secondFactor: z.enum(['off', 'otp']),
    /** otpauth URL; empty when second factor is off. */
    otpUrl: z.string(),
    expiresAt: instant,
  }),
});

export const acceptInvite = operation({
  name: 'invite.accept',
  who: ['Proxy'],
  resource: 'user_token',
  verb: 'update',
  input: z.object({ token: z.string().max(128), password, otp, ...cameFrom }),
  output: z.object({ username }),
});
