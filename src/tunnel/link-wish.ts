import { z } from 'zod';
import { ipAndPort } from '../base/addresses.ts';
import { CodedError } from '../base/errors.ts';

/** Who wants to go where, as the proxy of the root has found out: the leaf's node asks for itself. */
const request = {
  target: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('node'),
      host: z.string().min(1).max(512),
      port: z.number().int().min(0).max(65_535),
    }),
    z.object({ kind: z.literal('auth') }),
  ]),
  username: z.string().min(1).max(1024),
  /** `ip:port` of the person. */
  client: z
    .string()
    .max(300)
    .refine((text) => ipAndPort(text) !== undefined),
};

/** What a stream of a link is opened for. */
const linkWish = z.discriminatedUnion('to', [
  /** The SSH server of the node at the other end. */
  z.object({ to: z.literal('own-node') }),
  /** A node that hangs on the proxy at the other end. */
  z.object({ to: z.literal('node'), hostId: z.guid() }),
  /** An auth server of the cluster of the proxy at the other end. */
  z.object({ to: z.literal('auth') }),
  /** What somebody of this cluster, the root, wants in the leaf whose proxy is at the other end. */
  z.object({ to: z.literal('inside'), ...request }),
  /** The same, for the other proxies of the root: in a leaf that hangs on the proxy at the other end. */
  z.object({ to: z.literal('leaf'), clusterName: z.string().min(1).max(255), ...request }),
]);
export type LinkWish = z.infer<typeof linkWish>;
/** What somebody of the root wants in a leaf. */
export type LeafRequest = Omit<Extract<LinkWish, { to: 'inside' }>, 'to'>;

/** @throws CodedError `bad_request` for what this release does not know. */
export function linkWishOf(wish: unknown): LinkWish {
  const read = linkWish.safeParse(wish);
  if (read.success) return read.data;
  throw new CodedError('bad_request', 'this end of the link does not know what the other end wants');
}

/** What a leaf tells of a stream to a node: the UUID of the first session on it. */
const toldByLeaf = z.object({ session: z.guid() });
export const leafTold = (session: string): z.infer<typeof toldByLeaf> => ({ session });
/** Undefined where it tells nothing that this release can read. */
export const sessionTold = (told: unknown): string | undefined => toldByLeaf.safeParse(told).data?.session;

/** What a proxy tells those that hang on it, at first and whenever it changes. */
const linkNotice = z.object({
  /** How many proxies they are to hang on. */
  links: z.union([z.literal('all'), z.number().int().positive().max(64)]),
  /** The proxies of the cluster. `away`: one that the proxy which says this does not reach now. */
  proxies: z
    .array(z.object({ hostId: z.guid(), address: z.string().max(300), away: z.literal(true).optional() }))
    .max(64),
  /** Over this time they spread what all of them do at once. */
  spreadMs: z.number().nonnegative().max(60_000),
});
export type LinkNotice = z.infer<typeof linkNotice>;

/** Why whoever hangs here may not. */
const mostRefused = 1000;
const linkRefusal = z.object({ refused: z.string().max(mostRefused) });
export type LinkRefusal = z.infer<typeof linkRefusal>;

/** A reason may quote what an operator wrote, of any length. */
export const linkRefusalFor = (reason: string): LinkRefusal => ({ refused: reason.slice(0, mostRefused) });

/** Undefined for one that this release cannot read: it is ignored. */
export const linkNoticeOf = (said: unknown): LinkNotice | LinkRefusal | undefined =>
  z.union([linkNotice, linkRefusal]).safeParse(said).data;
