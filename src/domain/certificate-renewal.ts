import { type Instant, msBetween, plusMs } from '../base/time.ts';

/** From when to when a machine's certificates hold. */
export interface CertificateLife {
  /** When they were made. */
  readonly madeAt: Instant;
  /** Undefined for those of older releases, which hold until the authority is rotated. */
  readonly until: Instant | undefined;
}

export interface RenewalPlan {
  /** When new ones are asked for. */
  readonly at: Instant;
  /** From then on operators are told that it should have happened; undefined: never, since nothing ends. */
  readonly overdueAt: Instant | undefined;
}

/** Of a certificate's life. The machine then has a third of it to reach an auth server. */
const renewedAfter = 2 / 3;
/** So that machines that joined together do not come together: up to so much of the life earlier or later. */
const jitter = 1 / 20;
const overdueAfter = 3 / 4;
/** Within so long of its start a machine gets ending certificates for those that never end. */
const neverEndingWithinMs = 10 * 60 * 1000;

/**
 * When the certificates of a machine are renewed. @param random in [0, 1), the same for all looks at one
 * certificate.
 */
export function renewalPlan(
  { madeAt, until }: CertificateLife,
  { random, startedAt }: { readonly random: number; readonly startedAt: Instant },
): RenewalPlan {
  if (until === undefined)
    return { at: plusMs(startedAt, Math.round(neverEndingWithinMs * random)), overdueAt: undefined };
  const lifeMs = msBetween(madeAt, until);
  const share = renewedAfter + jitter * (2 * random - 1);
  return {
    at: plusMs(madeAt, Math.round(lifeMs * share)),
    overdueAt: plusMs(madeAt, Math.round(lifeMs * overdueAfter)),
  };
}

/**
 * The longest wait between two attempts: an auth server that is back is asked soon, compared with what is
 * left of the life.
 */
export const longestRetryMs = ({ madeAt, until }: CertificateLife): number =>
  until === undefined ? mostMs : Math.min(mostMs, Math.max(leastMs, msBetween(madeAt, until) / 40));
const mostMs = 60 * 60 * 1000;
const leastMs = 1000;
