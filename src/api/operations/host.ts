import { z } from 'zod';
import { foreignRecord } from '../../base/foreign-record.ts';
import { instant } from '../../base/time.ts';
import { announcedHost, hostRecord } from '../../domain/host-info.ts';
import { hostId, labelKey } from '../../domain/host-text.ts';
import { joinRole } from '../../domain/join-token.ts';
import { liveSessions } from '../../domain/live-sessions.ts';
import { leavesHeld } from '../../domain/presence.ts';
import { sentAdopted } from '../../domain/rotation-mark.ts';
import { kindsOfHosts } from '../../domain/rule-subjects.ts';
import { operation } from '../operation.ts';
import { cleanText, done, publicKeyLine } from './fields.ts';

/** Certifies a machine that has a join token, for one role. */
export const joinHost = operation({
  name: 'host.join',
  who: ['anyone'],
  resource: 'host_cert',
  verb: 'create',
  input: z.object({
    hostId: z.uuid(),
    nodename: z.string().min(1).max(255),
    role: joinRole,
    token: z.string().max(1024),
    /** Ed25519; both certificates contain it. */
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

/**
 * New certificates for a machine that presents its valid one: for the host id and the role in that, and for
 * no others. Missing names and addresses are granted as at a join.
 */
export const renewHost = operation({
  name: 'host.renew',
  repeatable: true,
  untended: true,
  who: ['Node', 'Proxy'],
  resource: 'host_cert',
  verb: 'update',
  input: joinHost.input.pick({ nodename: true, publicKey: true, additionalPrincipals: true, sentAt: true }),
  output: joinHost.output,
});

/** Why a host cannot renew its certificates is sent to others up to this length. */
export const longestTrouble = 200;

/** Presence. Adds the host when it is new, records what changed, and renews it for `ttlSeconds`. */
export const heartbeat = operation({
  name: 'host.heartbeat',
  repeatable: true,
  untended: true,
  who: ['Node', 'Proxy', 'Auth'],
  resource: kindsOfHosts,
  verb: 'update',
  input: z.object({
    host: announcedHost,
    ttlSeconds: z.number().int().positive().max(3600),
    /** By the clock of the host. Older releases do not send it. */
    sentAt: instant.optional(),
    /** How far it follows the rotations of the authorities. Older releases do not report it. */
    adopted: sentAdopted.optional(),
    /** It is being stopped: nobody waits for it until it sends another heartbeat. */
    leaving: z.literal(true).optional(),
    /** It does not come back: it is no longer a member. An older release takes it for one that stops. */
    forGood: z.literal(true).optional(),
    /** Why it cannot renew its certificates, in its own words. */
    trouble: cleanText(longestTrouble).optional(),
    /** Host ids of the proxies that it hangs on, where it is reached through a tunnel. */
    proxies: z.array(hostId).max(64).optional(),
    /** Proxies: the clusters that hang on it, by name. */
    leaves: leavesHeld.optional(),
    /** Nodes: the sessions with a terminal that run there; left out where they are as they were told last. */
    sessions: liveSessions.optional(),
  }),
  output: z.object({
    /**
     * The host counts as alive, but its new data was not accepted because it changes too often. To be sent
     * again after this time.
     */
    changeAfterMs: z.number().nonnegative().optional(),
    /** Why. */
    notice: z.string().optional(),
    /** The time over which machines spread what all of them do at once; absent where they are few. */
    spreadMs: z.number().nonnegative().optional(),
  }),
});

/** About 1 MB with 30 labels each: enough to cross a long link seldom, and little enough for one answer. */
export const mostHostsOfPage = 1_000;

/** A host with its presence. */
export const hostStatus = hostRecord.omit({ otherNames: true }).extend({
  lastSeenAt: instant,
  /** Since when it has had its name. Older releases leave it out. */
  namedSince: instant.optional(),
});

/**
 * A user, also of a trusted cluster, sees the nodes whose labels one of its roles admits; machines see
 * all. Sorted by name, then by who had the name first. Clients of today ask page by page
 * (`api/listed-hosts.ts`).
 */
export const listHosts = operation({
  name: 'host.list',
  repeatable: true,
  who: ['user', 'operator', 'foreign', 'Proxy', 'Admin'],
  resource: kindsOfHosts,
  verb: 'list',
  input: z.object({
    role: z.enum(['Node', 'Proxy', 'Auth']),
    labels: foreignRecord(labelKey, z.string()).default({}),
    /** What `next` of the page before was. */
    after: z.string().max(1_024).optional(),
    /** Hosts of one page. Older releases leave it out, and get all. */
    limit: z.number().int().positive().max(mostHostsOfPage).optional(),
  }),
  output: z.object({
    hosts: z.array(hostStatus),
    /** There are more. Absent on the last page, and from older releases, which send all. */
    next: z.string().optional(),
  }),
});

/** Forgets a machine that is gone: its names and its id are free for others at once. */
export const removeHost = operation({
  name: 'host.remove',
  who: ['Admin', 'operator'],
  resource: kindsOfHosts,
  verb: 'delete',
  input: z.object({ hostId }),
  output: done,
});
