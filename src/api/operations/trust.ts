import { z } from 'zod';
import { signedAnnouncement } from '../../domain/authority-facts.ts';
import { operation } from '../operation.ts';
import { hostSigner } from './cluster.ts';

/** Longer than any with as many keys as there may be. */
const statement = signedAnnouncement.extend({
  text: z.string().max(64 * 1024),
  signatures: signedAnnouncement.shape.signatures.max(8),
});

/**
 * Another cluster comes with a token, and from then on trusts this one: it gets this one's keys, and leaves
 * its own. Both are stated so that every key has signed. A cluster that asks again with the same token and
 * the same keys has lost the answer, and gets it again.
 */
export const establishTrust = operation({
  name: 'trust.establish',
  repeatable: true,
  who: ['anyone'],
  resource: 'trusted_cluster',
  verb: 'create',
  input: z.object({
    token: z.string().max(1024),
    /** Of the cluster that asks. */
    clusterName: z.string().max(255),
    /** The keys of its host authority. */
    host: statement,
  }),
  output: z.object({
    clusterName: z.string().max(255),
    host: statement,
    user: statement,
  }),
});

/**
 * The announced keys of this cluster, for one that trusts it; and of that one, which has no other way to
 * announce them to this one. Only what a key vouches for that is known changes anything, and no answer says
 * whether it did.
 */
export const followTrust = operation({
  name: 'trust.follow',
  repeatable: true,
  untended: true,
  who: ['anyone'],
  resource: 'trusted_cluster',
  verb: 'update',
  input: z.object({
    /** Of the cluster that asks. */
    clusterName: z.string().max(255),
    /** What it announced last of its host authority; left out before its first rotation. */
    host: statement.optional(),
  }),
  output: z.object({
    clusterName: z.string().max(255),
    /** What this cluster announced last; left out before its first rotation. */
    host: statement.optional(),
    user: statement.optional(),
  }),
});

/**
 * The host authority of a cluster that trusts this one, for somebody who goes there. A person's client asks
 * when a host shows a key that it does not know, and from time to time. Nothing secret.
 */
export const leafAuthorities = operation({
  name: 'trust.leaf-authorities',
  repeatable: true,
  who: ['user'],
  resource: 'trusted_cluster',
  verb: 'read',
  input: z.object({ clusterName: z.string().max(255) }),
  output: hostSigner,
});
