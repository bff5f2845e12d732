import { type Instant, msBetween, plusMs } from '../base/time.ts';

/** The lifetime of a machine's certificates. */
export interface CertificateLife {
  /** When they were made. */
  readonly madeAt: Instant;
  /** Undefined for certificates of older releases, which are valid until the authority is rotated. */
  readonly until: Instant | undefined;
}

export interface RenewalPlan {
  /** When new ones are requested. */
  readonly at: Instant;
  /**
   * From then on operators are told that the renewal is overdue; undefined: never, since the certificates do
   * not expire.
   */
  readonly overdueAt: Instant | undefined;
}

/** As a part of a certificate's lifetime. The machine then has a third of it left to reach an auth server. */
const renewedAfter = 2 / 3;
/**
 * Up to this part of the lifetime earlier or later, so that machines that joined together do not renew
 * together.
 */
const jitter = 1 / 20;
const overdueAfter = 3 / 4;
/** A machine replaces certificates that never expire within this time of its start. */
const neverEndingWithinMs = 10 * 60 * 1000;

/**
 * When the certificates of a machine are renewed.
 * @param random in [0, 1); the same each time one certificate is looked at.
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
 * The longest wait between two attempts, short compared with what is left of the lifetime: an auth server
 * that is back is asked soon.
 */
export const longestRetryMs = ({ madeAt, until }: CertificateLife): number =>
  until === undefined ? mostMs : Math.min(mostMs, Math.max(leastMs, msBetween(madeAt, until) / 40));
const mostMs = 60 * 60 * 1000;
const leastMs = 1000;
