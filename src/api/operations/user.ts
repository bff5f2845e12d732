import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { requestAccess } from '../../domain/role-request.ts';
import { traits } from '../../domain/role-spec.ts';
import type { RuleResource } from '../../domain/where/evaluate-where.ts';
import { operation } from '../operation.ts';
import { hostSigner } from './cluster.ts';
import { cameFrom, cleanText, done, otp, password, position, publicKeyLine, username } from './fields.ts';

const aboutUser = ({ username }: { readonly username: string }): RuleResource => ({
  kind: 'user',
  name: username,
});

/** Who somebody at a proxy claims to be, and what is to prove it. */
export const claim = z.object({
  username,
  password,
  /** Empty when the user gave none. */
  otp,
  ...cameFrom,
  /** Whether the address is that of a balancer through which everybody comes. */
  addressIsShared: z.boolean().optional(),
});
export type Claim = Readonly<z.output<typeof claim>>;

export const certificates = z.object({
  username,
  /** `ssh-ed25519-cert-v01@openssh.com AAAA…` */
  sshCertificate: z.string(),
  tlsCertificatePem: z.string(),
  hostSigners: z.array(hostSigner).min(1),
});

export const logIn = operation({
  name: 'user.log-in',
  who: ['Proxy'],
  resource: 'web_session',
  verb: 'create',
  input: claim.extend({
    publicKey: publicKeyLine,
    ttlSeconds: z.number().int().positive(),
    format: z.enum(['standard', 'oldssh']).default('standard'),
    routeToCluster: cleanText(255).default(''),
  }),
  output: certificates.extend({
    /** Where a role wants roles to be requested with the login. */
    request: z.object({ access: z.enum(requestAccess), prompt: z.string() }).optional(),
  }),
});

/** A valid certificate is exchanged for another one without a password, where the cluster allows it. */
export const renewCertificates = operation({
  name: 'user.renew-certificates',
  who: ['user'],
  resource: 'web_session',
  verb: 'update',
  input: z.object({
    publicKey: publicKeyLine,
    ttlSeconds: z.number().int().positive(),
    format: z.enum(['standard', 'oldssh']).default('standard'),
    /** The cluster that it is to lead to; left out: the same as before. */
    routeToCluster: cleanText(255).optional(),
  }),
  output: certificates,
});

export const createUser = operation({
  name: 'user.create',
  who: ['Admin', 'operator'],
  resource: 'user',
  verb: 'create',
  input: z.object({
    username,
    roles: z.array(z.string()).min(1),
    traits,
    inviteTtlSeconds: z.number().int().positive(),
  }),
  about: ({ username, roles, traits }) => ({ kind: 'user', name: username, roles, traits }),
  output: z.object({ inviteToken: z.string(), expiresAt: instant, position }),
});

export const resetUser = operation({
  name: 'user.reset',
  who: ['Admin', 'operator'],
  resource: 'user',
  verb: 'update',
  input: z.object({ username, resetTtlSeconds: z.number().int().positive() }),
  about: aboutUser,
  output: z.object({ resetToken: z.string(), expiresAt: instant, position }),
});

/** Ends the locks of failed logins, and forgets the failures. */
export const unlockUser = operation({
  name: 'user.unlock',
  who: ['Admin', 'operator'],
  resource: 'user',
  verb: 'update',
  input: z.object({ username }),
  about: aboutUser,
  /** False when there was nothing to end. */
  output: z.object({ unlocked: z.boolean(), position }),
});

export const deleteUser = operation({
  name: 'user.delete',
  who: ['Admin', 'operator'],
  resource: 'user',
  verb: 'delete',
  input: z.object({ username }),
  about: aboutUser,
  output: done,
});

export const userSummary = z.object({
  username,
  roles: z.array(z.string()),
  traits,
  lock: z.discriminatedUnion('status', [
    z.object({ status: z.literal('active') }),
    z.object({
      status: z.literal('locked'),
      until: instant,
      reason: z.string(),
      /** Where logins are refused from; left out: everywhere except where the user logged in before. */
      from: z.array(z.string()).optional(),
    }),
  ]),
  createdAt: instant,
  /** Both are absent from an auth server of an earlier release. */
  secondFactor: z.enum(['otp', 'none']).optional(),
  /** With a password, by the clock of the auth server that took it; null: never. */
  lastLoginAt: instant.nullable().optional(),
});

export const listUsers = operation({
  name: 'user.list',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'user',
  verb: 'list',
  input: z.object({}),
  output: z.object({ users: z.array(userSummary) }),
  sift: ({ users }, sees) => ({
    users: users.filter(({ username, roles, traits }) =>
      sees({ kind: 'user', name: username, roles, traits }),
    ),
  }),
});
