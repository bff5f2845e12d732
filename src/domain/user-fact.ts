import { z } from 'zod';
import { instant } from '../base/time.ts';
import { traits } from './role-spec.ts';
import type { WithSecrets } from './secrets.ts';

/** `ip:port` at both ends of the connection a person came over; empty when it is not known. */
/** `balancer`: who told the first of them, where that was a balancer. */
export const addresses = z.object({
  remote: z.string(),
  local: z.string(),
  balancer: z.string().optional(),
});
export type Addresses = z.infer<typeof addresses>;

/** Why a login was refused. Operators see it in the audit log; the person at the other end never does. */
export const refusals = ['wrong_password', 'no_otp', 'wrong_otp', 'used_otp'] as const;
export type Refusal = (typeof refusals)[number];

/**
 * The part of its address that a client cannot change at will: an IPv4 address, or the first half of an IPv6
 * address. Left out: not known, or shared by everybody behind a balancer.
 */
const source = z.string().optional();

const roles = z.array(z.string());
const natural = z.number().int().nonnegative();

/** What the certificate given to a login admits to. */
export const grant = z.object({
  roles,
  logins: z.array(z.string()),
  ttlSeconds: z.number().int().positive(),
  /** Decimal, shared by both certificates. Left out by releases whose certificates had different serials. */
  serial: z.string().optional(),
});
export type Grant = z.infer<typeof grant>;

/**
 * Another release's way of proving who one is. It spends none of our one-time codes, or the fact names it
 * critical.
 */
const otherProof = z
  .object({ status: z.string().refine((status) => status !== 'not_required' && status !== 'matched') })
  .transform(() => ({ status: 'other' as const }));

/**
 * Fields on which no decision depends (`method`, `purpose`, reasons) are any text: other releases may have
 * other words.
 */
export const userFact = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('user.created'),
    data: z.object({
      username: z.string(),
      roles,
      traits,
      /** Of a restored user: certificates of before name it. Left out: this event begins it. */
      life: z.object({ id: z.string().min(1), isFirst: z.boolean() }).optional(),
      /** What remains of users who had this name; left out where nobody had. */
      before: z
        .object({
          attempts: z.enum(['here', 'apart']),
          era: z.object({ cleared: natural, forgotten: natural }),
        })
        .optional(),
    }),
  }),
  /** A link was issued; any older link of this user is void from here on. */
  z.object({
    type: z.literal('user.invited'),
    data: z.object({ inviteHash: z.string(), purpose: z.string(), expiresAt: instant }),
  }),
  /** The old password, and everything proved with it, no longer admits anyone. */
  z.object({ type: z.literal('user.password_reset'), data: z.object({}) }),
  /**
   * Secret `passwordHash`. Ends a lock. `source`: of the person who had another password and gave that, known
   * from now on.
   */
  z.object({
    type: z.literal('user.password_set'),
    data: z.object({ passwordId: z.string(), addresses, source }),
  }),
  /**
   * Secret `otpSeed`. The code of `usedStep` was spent to prove that the person has the seed. `addresses`: it
   * was set alone, by the person itself; else it comes with a password.
   */
  z.object({
    type: z.literal('user.otp_set'),
    data: z.object({
      otpId: z.string(),
      usedStep: z.number().int().nonnegative(),
      addresses: addresses.optional(),
    }),
  }),
  z.object({
    type: z.literal('user.logged_in'),
    data: z.object({
      method: z.string(),
      otp: z.union([
        z.object({ status: z.literal('not_required') }),
        z.object({ status: z.literal('matched'), step: z.number().int().nonnegative() }),
        otherProof,
      ]),
      addresses,
      source,
      /**
       * Absent where none was issued; and in logs of older releases, which recorded it in the partition
       * `audit`.
       */
      certificate: grant.optional(),
    }),
  }),
  z.object({
    type: z.literal('user.login_refused'),
    data: z.object({ reason: z.string(), at: instant, addresses, source }),
  }),
  z.object({
    type: z.literal('user.locked'),
    data: z.object({
      /** By the clock of the server that locked. */
      until: instant,
      reason: z.string(),
      /** How long it lasts, in milliseconds, from when a server learns of it. Older releases: `lockMs`. */
      forMs: z.number().int().positive().optional(),
      /**
       * Only logins from this source are locked. Left out: logins from everywhere except where the user
       * logged in before.
       */
      source,
    }),
  }),
  z.object({ type: z.literal('user.unlocked'), data: z.object({}) }),
  /** From here on attempts to log in are recorded in the partition `attempts`, also of later users. */
  z.object({ type: z.literal('user.attempts_apart'), data: z.object({}) }),
  z.object({ type: z.literal('user.roles_changed'), data: z.object({ roles }) }),
  z.object({ type: z.literal('user.traits_changed'), data: z.object({ traits }) }),
  z.object({ type: z.literal('user.deleted'), data: z.object({}) }),
]);
export type UserFact = WithSecrets<z.infer<typeof userFact>>;

/** Secret of `user.password_set`: a PHC string, UTF-8. */
export const passwordHashSecret = 'passwordHash';
/** Secret of `user.otp_set` and `invite.created`: the raw TOTP seed. */
export const otpSeedSecret = 'otpSeed';

/** A code device. `usedStep` and all earlier ones are spent. */
export interface NewOtp {
  readonly id: string;
  readonly seed: Uint8Array;
  readonly usedStep: number;
}

/** `source`: only where who sets it is known to be the user. */
export const passwordSet = (id: string, hash: Uint8Array, from: Addresses, source?: string): UserFact => ({
  type: 'user.password_set',
  data: { passwordId: id, addresses: from, ...(source !== undefined && { source }) },
  secrets: { [passwordHashSecret]: hash },
});

/** `from`: only where it is set alone. */
export const otpSet = ({ id, seed, usedStep }: NewOtp, from?: Addresses): UserFact => ({
  type: 'user.otp_set',
  data: { otpId: id, usedStep, ...(from && { addresses: from }) },
  secrets: { [otpSeedSecret]: seed },
});
