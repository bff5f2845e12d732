import { z } from 'zod';
import { hostId } from './host-text.ts';

/** How others reach a host. */
export type Reachability =
  | {
      readonly status: 'direct';
      /**
       * `host:port`; the host part is never a wildcard. Empty where the stored value does not have this form.
       */
      readonly address: string;
    }
  /** Through links that the host itself opened to these proxies, by their host ids. */
  | { readonly status: 'tunnel'; readonly proxies: readonly string[] }
  /** In a way that only a newer release knows. `record` is what that release wrote, unchanged. */
  | { readonly status: 'unknown'; readonly kind: string; readonly record: unknown };

/**
 * The same as facts, snapshots and calls contain it. A host that is reached directly has an address and
 * nothing else, as every earlier release writes and reads it. Any other has an empty address, so that older
 * releases do not dial it.
 */
export interface ReachabilityRecord {
  readonly address: string;
  readonly reachability?: unknown;
}

const known = z.discriminatedUnion('status', [
  z.object({ status: z.literal('direct'), address: z.string().max(300) }),
  z.object({ status: z.literal('tunnel'), proxies: z.array(hostId).max(64) }),
]);
const ofSomeKind = z.object({ status: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/) });

/**
 * What hosts may announce beside an address: that they hang on proxies. Which ones those are is presence,
 * not membership, so none is named.
 */
export const isAnnounced = (record: unknown): boolean =>
  record === undefined ||
  z.strictObject({ status: z.literal('tunnel'), proxies: z.tuple([]) }).safeParse(record).success;

/**
 * The stored value of any release, as this one understands it. Total: a value that it does not understand is
 * `unknown`.
 */
export function reachabilityOf({ address, reachability: record }: ReachabilityRecord): Reachability {
  if (record === undefined) return { status: 'direct', address };
  const understood = known.safeParse(record);
  if (understood.success) return understood.data;
  return { status: 'unknown', kind: ofSomeKind.safeParse(record).data?.status ?? 'unreadable', record };
}

export function reachabilityRecord(reachability: Reachability): ReachabilityRecord {
  switch (reachability.status) {
    case 'direct':
      return { address: reachability.address };
    case 'tunnel':
      return { address: '', reachability };
    case 'unknown':
      return { address: '', reachability: reachability.record };
  }
}

/** `host:port` of a host that is reached directly; undefined for any other. */
export const directAddress = (reachability: Reachability): string | undefined =>
  reachability.status === 'direct' ? reachability.address : undefined;

/** The kind in one word. */
export const kindOf = (reachability: Reachability): string =>
  reachability.status === 'unknown' ? reachability.kind : reachability.status;

/** For messages, after "a node": `at 10.0.0.1:3022`, `through a tunnel`. */
export function whereabouts(reachability: Reachability): string {
  switch (reachability.status) {
    case 'direct':
      return `at ${reachability.address}`;
    case 'tunnel':
      return 'through a tunnel';
    case 'unknown':
      return `by ${JSON.stringify(reachability.kind)}`;
  }
}
