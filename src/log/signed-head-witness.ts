import { z } from 'zod';
import { type Instant, instant } from '../base/time.ts';
import { type Partition, partitions } from './event.ts';
import type { SignedHead } from './signed-head.ts';

/**
 * What an auth server sends its witnesses about a store that went back. Readers of an older release ignore
 * it.
 */
export const storeNotice = z.object({
  notice: z.literal('the store went back'),
  partition: z.enum([...partitions] as [Partition, ...Partition[]]),
  /** The newest slot that was read from the store, and the own hash of the batch in it, in hexadecimal. */
  slot: z.number().int().nonnegative(),
  hash: z.string(),
  /** How far, in words. */
  reason: z.string(),
  at: instant,
  hostId: z.string(),
});
export type StoreNotice = z.infer<typeof storeNotice>;

export type WitnessLine = SignedHead | StoreNotice;

/** One place outside the store where signed heads are kept. */
export interface WitnessReport {
  /** As the operator wrote it, without a password. */
  readonly target: string;
  readonly sent: number;
  readonly waiting: number;
  /** Dropped because too many waited: newer ones of the same partition cover them. */
  readonly dropped: number;
  readonly lastSentAt: Instant | undefined;
  /** Set while the target does not accept them. */
  readonly failing: { readonly since: Instant; readonly reason: string } | undefined;
}

/** Where signed heads, and notices of a store that went back, are sent besides the log. */
export interface Witnesses {
  /** Never waits and never throws: a line that cannot be sent now is sent later. */
  send(line: WitnessLine): void;
  report(): readonly WitnessReport[];
  /** Drops the lines that still wait. */
  close(): Promise<void>;
}

export const noWitnesses: Witnesses = {
  send: () => undefined,
  report: () => [],
  close: () => Promise.resolve(),
};
