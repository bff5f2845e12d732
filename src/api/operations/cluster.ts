import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { announcedAuthority } from '../announced-authority.ts';
import { factsRead } from '../facts-read.ts';
import { operation } from '../operation.ts';
import { publicKeyLine } from './fields.ts';
import { outlook } from './outlook.ts';

/** What a client must trust to talk to this cluster's hosts. */
export const hostSigner = z.object({
  clusterName: z.string(),
  /** authorized_keys lines of every host authority key that is valid now. */
  checkingKeys: z.array(publicKeyLine),
  tlsCertificatesPem: z.array(z.string()),
});
export type HostSigner = z.infer<typeof hostSigner>;

export const pingCluster = operation({
  name: 'cluster.ping',
  repeatable: true,
  withoutStore: true,
  who: ['anyone'],
  resource: 'cluster_name',
  verb: 'read',
  input: z.object({}),
  output: z.object({ clusterName: z.string(), serverVersion: z.string() }),
});

/**
 * What a machine that has not joined yet compares with its pin, and the announcement by which a pin of an
 * earlier key leads to the key that signs now. Nothing secret.
 */
export const readHostAuthorities = operation({
  name: 'cluster.host-authorities',
  repeatable: true,
  withoutStore: true,
  who: ['anyone'],
  resource: 'cert_authority',
  verb: 'readnosecrets',
  input: z.object({}),
  output: hostSigner.extend(announcedAuthority.shape),
});
export type HostAuthorities = z.infer<typeof readHostAuthorities.output>;

export const readClusterStatus = operation({
  name: 'cluster.status',
  repeatable: true,
  withoutStore: true,
  who: ['Admin', 'operator'],
  resource: 'cluster_config',
  verb: 'readnosecrets',
  input: z.object({}),
  output: z.object({
    clusterName: z.string(),
    serverVersion: z.string(),
    /** `never updated`, `rotated <time>`, … */
    userAuthority: z.string(),
    hostAuthority: z.string(),
    /** `sha256:<hex>`, every pin that is valid now; the first is the active one. */
    caPins: z.array(z.string()),
    /** During a rotation of the host authority: the pin that stays valid after it. Otherwise empty. */
    lastingCaPin: z.string().default(''),
    /** Settings for which the configuration files of the auth servers differ, and the values that apply. */
    drift: z
      .array(
        z.object({
          key: z.string(),
          standing: z.string(),
          others: z.array(z.object({ hostId: z.string(), nodename: z.string(), value: z.string() })),
        }),
      )
      .default([]),
    /** Callers that reached a quota of the auth server that replies within the last hour. */
    overQuota: z
      .array(z.object({ who: z.string(), quota: z.string(), at: instant, refused: z.number() }))
      .default([]),
    /** The store of the auth server that replies, as that one sees it. */
    store: z
      .object({ type: z.string(), place: z.string(), figures: z.record(z.string(), z.number()) })
      .optional(),
    /** For how long that store has space; absent while it is away, and from older releases. */
    outlook: outlook.optional(),
    /** The key that signs heads of the log, `ed25519:<base64>`; empty before its first use. */
    logKey: z.string().default(''),
    /** A remark on the clocks of the auth servers and the log's time; empty when they agree. */
    clock: z.string().default(''),
    /** Left out when no host is alive. */
    factsRead: factsRead.optional(),
    /** What is wrong with the auth server that replies; empty when nothing is. */
    trouble: z.string().default(''),
  }),
});

export const readAuthPreference = operation({
  name: 'cluster.auth-preference',
  repeatable: true,
  withoutStore: true,
  who: ['Proxy', 'Node', 'Admin', 'user'],
  resource: 'cluster_auth_preference',
  verb: 'read',
  input: z.object({}),
  output: z.object({ type: z.literal('local'), secondFactor: z.enum(['off', 'otp']) }),
});
