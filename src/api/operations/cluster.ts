import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { announcedAuthority } from '../announced-authority.ts';
import { factsRead } from '../facts-read.ts';
import { operation } from '../operation.ts';
import { publicKeyLine } from './fields.ts';

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
 * What a machine that has not joined yet compares with its pin, and by which a pin of the key before leads to
 * the one that signs now. Says nothing that is secret.
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
    /** While the host authority is rotated: the one of them that stays valid after it. Else empty. */
    lastingCaPin: z.string().default(''),
    /** Settings about which the configuration files of the auth servers differ, and what stands. */
    drift: z
      .array(
        z.object({
          key: z.string(),
          standing: z.string(),
          others: z.array(z.object({ hostId: z.string(), nodename: z.string(), value: z.string() })),
        }),
      )
      .default([]),
    /** Who came to a quota of the auth server that answers within the last hour. */
    overQuota: z
      .array(z.object({ who: z.string(), quota: z.string(), at: instant, refused: z.number() }))
      .default([]),
    /** The store of the auth server that answers, as that one sees it. */
    store: z
      .object({ type: z.string(), place: z.string(), figures: z.record(z.string(), z.number()) })
      .optional(),
    /** The key that signs heads of the log, `ed25519:<base64>`; empty before its first use. */
    logKey: z.string().default(''),
    /** What is to be said of the clocks of the auth servers and of the log's time; empty when they agree. */
    clock: z.string().default(''),
    /** Left out when no host is alive. */
    factsRead: factsRead.optional(),
    /** What the auth server that answers lacks now; empty when nothing. */
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
