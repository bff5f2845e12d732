import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { identityHolder } from '../../domain/identity.ts';
import { operation } from '../operation.ts';
import { hostSigner } from './cluster.ts';
import { cleanText, publicKeyLine, username } from './fields.ts';

/** Ten years: an authority lives no longer. */
const longestSeconds = 10 * 365 * 24 * 3600;
const ttlSeconds = z.number().int().positive().max(longestSeconds);

const certified = {
  sshCertificate: z.string(),
  /** Decimal. */
  serial: z.string(),
  expiresAt: instant,
  /** How long it is valid: less than requested, where the limit is lower and it was not forced. */
  ttlSeconds: z.number().int().positive(),
};

/** Certificates for a key of the caller's choice, in the name of a user, without its password. */
export const signUserIdentity = operation({
  name: 'identity.sign-user',
  who: ['Admin'],
  resource: 'identity',
  verb: 'create',
  input: z.object({
    username,
    publicKey: publicKeyLine,
    ttlSeconds,
    /** Which format is written. One of `openssh` has no TLS certificate, and never administers. */
    format: z.enum(['file', 'openssh', 'tls']),
    certificateFormat: z.enum(['standard', 'oldssh']).default('standard'),
    /** To administer the cluster, while the user has the role `admin`. */
    administers: z.boolean(),
    /** For longer than the roles allow. */
    force: z.boolean(),
  }),
  output: z.object({
    ...certified,
    /** Left out for `openssh`. */
    tlsCertificatePem: z.string().optional(),
    administers: z.boolean(),
    hostSigners: z.array(hostSigner).min(1),
  }),
});

/** A certificate for the SSH server of a machine that is not part of the cluster. */
export const signHostIdentity = operation({
  name: 'identity.sign-host',
  who: ['Admin'],
  resource: 'host_cert',
  verb: 'create',
  input: z.object({
    names: z.array(cleanText(255)).min(1).max(256),
    publicKey: publicKeyLine,
    ttlSeconds,
    /** For longer than the setting for hosts allows, and with names that a host of the cluster has. */
    force: z.boolean(),
  }),
  output: z.object(certified),
});

export const listIdentities = operation({
  name: 'identity.list',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'identity',
  verb: 'list',
  /** `all`: also those that have expired. */
  input: z.object({ all: z.boolean() }),
  sift: ({ identities }, sees) => ({
    identities: identities.filter(({ serial }) => sees({ kind: 'identity', name: serial })),
  }),
  output: z.object({
    identities: z.array(
      z.object({
        serial: z.string(),
        holder: identityHolder,
        key: z.string(),
        format: z.string(),
        signedAt: instant,
        signedBy: z.string(),
        expiresAt: instant,
        forced: z.boolean(),
      }),
    ),
  }),
});
