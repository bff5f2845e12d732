import type { Instant } from '../base/time.ts';
import type { SignedHead } from './signed-head.ts';

/** One place outside the store where signed heads are kept. */
export interface WitnessReport {
  /** As the operator wrote it, without a password. */
  readonly target: string;
  readonly sent: number;
  readonly waiting: number;
  /** Given up because too many waited: newer ones of the same partition stand for them. */
  readonly dropped: number;
  readonly lastSentAt: Instant | undefined;
  /** Set while the target does not take them. */
  readonly failing: { readonly since: Instant; readonly reason: string } | undefined;
}

/** Where signed heads go beside the log. */
export interface Witnesses {
  /** Never waits and never throws: what cannot be sent now is sent later. */
  send(head: SignedHead): void;
  report(): readonly WitnessReport[];
  /** Gives up what still waits. */
  close(): Promise<void>;
}

export const noWitnesses: Witnesses = {
  send: () => undefined,
  report: () => [],
  close: () => Promise.resolve(),
};
