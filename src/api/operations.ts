import { z } from 'zod';
import { instant } from '../base/time.ts';
import { auditNumbers } from '../domain/audit.ts';
import { auditEvent } from '../domain/audit-event.ts';
import { isCleanText } from '../base/clean-text.ts';
import { foreignRecord } from '../base/foreign-record.ts';
import { announcedHost, hostInfo } from '../domain/host-info.ts';
import { hostId, labelKey } from '../domain/host-text.ts';
import { joinRole } from '../domain/join-token.ts';
import { traits } from '../domain/role-spec.ts';
import { operation } from './operation.ts';

const position = z.number().int().nonnegative();
const done = z.object({ position });
const username = z.string().min(1).max(128);
/** One line of an authorized_keys file: `ssh-ed25519 AAAA…`. */
const publicKeyLine = z.string().max(16_384);
const password = z.string().max(65_536);
const otp = z.string().max(16);
/** Goes into the log, the audit and certificates. */
const cleanText = (longest: number): z.ZodString =>
  z.string().max(longest).refine(isCleanText, 'a line without control and invisible characters');

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
  who: ['anyone'],
  input: z.object({}),
  output: z.object({ clusterName: z.string(), serverVersion: z.string() }),
});

/** What a machine that has not joined yet compares with its pin. Says nothing that is secret. */
export const readHostAuthorities = operation({
  name: 'cluster.host-authorities',
  repeatable: true,
  who: ['anyone'],
  input: z.object({}),
  output: hostSigner,
});

export const readClusterStatus = operation({
  name: 'cluster.status',
  repeatable: true,
  who: ['Admin'],
  input: z.object({}),
  output: z.object({
    clusterName: z.string(),
    serverVersion: z.string(),
    /** `never updated`, `rotated <time>`, … */
    userAuthority: z.string(),
    hostAuthority: z.string(),
    /** `sha256:<hex>`, every pin that is valid now; the first is the active one. */
    caPins: z.array(z.string()),
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
    /** What the auth server that answers lacks now; empty when nothing. */
    trouble: z.string().default(''),
  }),
});

export const logIn = operation({
  name: 'user.log-in',
  who: ['Proxy'],
  input: z.object({
    username,
    password,
    /** Empty when the user gave none. */
    otp,
    publicKey: publicKeyLine,
    ttlSeconds: z.number().int().positive(),
    format: z.enum(['standard', 'oldssh']).default('standard'),
    routeToCluster: cleanText(255).default(''),
    /** `ip:port` of the person's own machine; of the balancer, where that one is not trusted to tell. */
    clientAddress: cleanText(300),
    /** The address is that of a balancer that everybody comes through. */
    addressIsShared: z.boolean().optional(),
  }),
  output: z.object({
    username,
    /** `ssh-ed25519-cert-v01@openssh.com AAAA…` */
    sshCertificate: z.string(),
    tlsCertificatePem: z.string(),
    hostSigners: z.array(hostSigner).min(1),
  }),
});

export const createUser = operation({
  name: 'user.create',
  who: ['Admin'],
  input: z.object({
    username,
    roles: z.array(z.string()).min(1),
    traits,
    inviteTtlSeconds: z.number().int().positive(),
  }),
  output: z.object({ inviteToken: z.string(), expiresAt: instant, position }),
});

export const resetUser = operation({
  name: 'user.reset',
  who: ['Admin'],
  input: z.object({ username, resetTtlSeconds: z.number().int().positive() }),
  output: z.object({ resetToken: z.string(), expiresAt: instant, position }),
});

/** Ends the locks of failed logins, and forgets the failures. */
export const unlockUser = operation({
  name: 'user.unlock',
  who: ['Admin'],
  input: z.object({ username }),
  /** False when there was nothing to end. */
  output: z.object({ unlocked: z.boolean(), position }),
});

export const deleteUser = operation({
  name: 'user.delete',
  who: ['Admin'],
  input: z.object({ username }),
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
      /** Where logins are refused from; left out: everywhere but where the user logged in before. */
      from: z.array(z.string()).optional(),
    }),
  ]),
  createdAt: instant,
});

export const listUsers = operation({
  name: 'user.list',
  repeatable: true,
  who: ['Admin'],
  input: z.object({}),
  output: z.object({ users: z.array(userSummary) }),
});

/** Opens an invite or reset link: what its page shows. Each time it is another one-time secret, and the last one counts. */
export const readInvite = operation({
  name: 'invite.read',
  repeatable: true,
  who: ['Proxy'],
  input: z.object({
    token: z.string().max(128),
    /** `ip:port` of who opens it. Left out by proxies of older releases, which show one secret again. */
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
  input: z.object({ token: z.string().max(128), password, otp, clientAddress: cleanText(300) }),
  output: z.object({ username }),
});

export const readAuthPreference = operation({
  name: 'cluster.auth-preference',
  repeatable: true,
  who: ['Proxy', 'Node', 'Admin', 'user'],
  input: z.object({}),
  output: z.object({ type: z.literal('local'), secondFactor: z.enum(['off', 'otp']) }),
});

export const listAuthorities = operation({
  name: 'authority.list',
  repeatable: true,
  who: ['user', 'Proxy', 'Node', 'Auth', 'Admin'],
  input: z.object({ type: z.enum(['user', 'host']) }),
  output: z.object({ authorities: z.array(hostSigner) }),
});

/** A host with what is known of its life. */
export const hostStatus = hostInfo.omit({ otherNames: true }).extend({
  lastSeenAt: instant,
  /** Since when it has its name. Older releases do not tell. */
  namedSince: instant.optional(),
});

/** A user sees the nodes whose labels one of its roles admits; machines see all. Sorted by name, then who had it first. */
export const listHosts = operation({
  name: 'host.list',
  repeatable: true,
  who: ['user', 'Proxy', 'Admin'],
  input: z.object({
    role: z.enum(['Node', 'Proxy', 'Auth']),
    labels: foreignRecord(labelKey, z.string()).default({}),
  }),
  output: z.object({ hosts: z.array(hostStatus) }),
});

/** A secret by which machines join. Shown once: only its hash is kept. */
export const createToken = operation({
  name: 'token.create',
  who: ['Admin'],
  input: z.object({
    roles: z.array(joinRole).min(1),
    ttlSeconds: z.number().int().positive().default(1800),
    /** How many joins it admits, a machine in one role counting as one; without it, any number until it expires. */
    uses: z.number().int().positive().optional(),
    /** Patterns of what its machines may be called: `web-*`. Empty: anything. */
    names: z.array(z.string().max(253)).max(20).optional(),
    /** A value of the operator's choice instead of a random one. */
    value: z.string().max(1024).optional(),
  }),
  output: z.object({
    token: z.string(),
    tokenId: z.string(),
    expiresAt: instant,
    position,
    /** As they hold. Older releases know of none. */
    names: z.array(z.string()).default([]),
  }),
});

export const tokenSummary = z.object({
  /** Says which token it is, and nothing of its secret. */
  tokenId: z.string(),
  /** `static` ones stand in the file of the auth server that answers. */
  origin: z.enum(['static', 'dynamic']),
  roles: z.array(joinRole),
  /** Null: never. */
  expiresAt: instant.nullable(),
  /** Null: any number. */
  usesLeft: z.number().int().nonnegative().nullable(),
  /** How many joins it has admitted. */
  joined: z.number().int().nonnegative(),
  /** What its machines may be called; empty: anything. */
  names: z.array(z.string()).default([]),
});

/** Tokens that admit somebody now: static ones first, then by expiry. */
export const listTokens = operation({
  name: 'token.list',
  repeatable: true,
  who: ['Admin'],
  input: z.object({}),
  output: z.object({ tokens: z.array(tokenSummary) }),
});

export const deleteToken = operation({
  name: 'token.delete',
  who: ['Admin'],
  /** Its id, or the token itself. */
  input: z.object({ token: z.string().max(1024) }),
  output: done,
});

/** Certifies a machine that has a join token, for one role. */
export const joinHost = operation({
  name: 'host.join',
  who: ['anyone'],
  input: z.object({
    hostId: z.uuid(),
    nodename: z.string().min(1).max(255),
    role: joinRole,
    token: z.string().max(1024),
    /** Ed25519; both certificates carry it. */
    publicKey: publicKeyLine,
    /** Further names and addresses by which the machine is reached. */
    additionalPrincipals: z.array(z.string().max(255)).max(200),
    /** By the clock of the machine: certificates need clocks that agree. */
    sentAt: instant,
  }),
  output: z.object({
    clusterName: z.string(),
    sshCertificate: z.string(),
    tlsCertificatePem: z.string(),
    tlsCasPem: z.array(z.string()).min(1),
    sshHostCas: z.array(z.string()).min(1),
  }),
});

/** Presence. Joins the host when it is new, records what changed, and renews it for `ttlSeconds`. */
export const heartbeat = operation({
  name: 'host.heartbeat',
  repeatable: true,
  who: ['Node', 'Proxy', 'Auth'],
  input: z.object({
    host: announcedHost,
    ttlSeconds: z.number().int().positive().max(3600),
    /** By the clock of the host. Older releases do not tell it. */
    sentAt: instant.optional(),
  }),
  output: z.object({
    /** The host counts as alive, but what it says anew of itself was not taken: it changes too often. To be said again then. */
    changeAfterMs: z.number().nonnegative().optional(),
    /** Why. */
    notice: z.string().optional(),
  }),
});

/** Forgets a machine that is gone: its names and its id are free for others at once. */
export const removeHost = operation({
  name: 'host.remove',
  who: ['Admin'],
  input: z.object({ hostId }),
  output: done,
});

/**
 * Stores audit events that the caller saw, in order; of what is refused, those before may be stored. An event sent again
 * is stored once: `numbered` tells them apart at any distance; callers of the release before leave it out.
 */
export const emitAudit = operation({
  name: 'audit.emit',
  repeatable: true,
  who: ['Node', 'Proxy'],
  input: z.object({ events: z.array(auditEvent).min(1).max(200), numbered: auditNumbers.optional() }),
  output: done,
});

export const searchAudit = operation({
  name: 'audit.search',
  repeatable: true,
  who: ['Admin'],
  input: z.object({
    from: instant,
    to: instant,
    /** Empty: all types. */
    types: z.array(z.string()).default([]),
    user: z.string().default(''),
    /** The newest are kept when more match; of large ones fewer, so that an answer has an end. */
    limit: z.number().int().positive().max(10_000).default(500),
  }),
  /** Ascending by time, then `ei`. `truncated` when older ones were left out. */
  output: z.object({ events: z.array(auditEvent), truncated: z.boolean() }),
});
