import { type Condition, conditionOf } from '../base/condition.ts';
import { messageOf } from '../base/errors.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { refusesWrites, storeWorry } from '../log/log-trouble.ts';
import { type ReadingViews, unreadableText } from '../views/unreadable.ts';
import type { AuthViews } from './auth-views.ts';
import { foreignSecondFactor } from './lookups.ts';
import type { ClockWatch } from './clocks.ts';
import type { FoldLag } from './log/fold-lag.ts';
import type { StoreContact } from './log/store-contact.ts';

/** What decides how an auth server serves. */
export interface AuthStanding {
  readonly log: Pick<ClusterLog, 'stats' | 'store'>;
  readonly views: Pick<AuthViews, 'failure'> & ReadingViews;
  readonly lag: Pick<FoldLag, 'trouble'>;
  readonly contact: Pick<StoreContact, 'refusal'>;
  readonly clocks: Pick<ClockWatch, 'trouble' | 'notice'>;
  /** What is put off, and made up for by itself. */
  readonly compaction: Upkeep;
  readonly heads: Upkeep;
  readonly secrets: Upkeep;
  /** Waits for hosts: nothing is lacking, and somebody should look. */
  readonly rotation: Upkeep;
}

interface Upkeep {
  trouble(): string | undefined;
}

/**
 * One that cannot write, or is behind its store, issues nothing: others shall be asked. One whose upkeep is
 * late (heads that are not signed yet, snapshots, keys to destroy) decides and signs as any other.
 */
export function authCondition(standing: AuthStanding): Condition {
  const { log, views, lag, contact, clocks, compaction, heads, secrets, rotation } = standing;
  const failure = views.failure();
  return conditionOf({
    refusals: [
      refusesWrites(log),
      clocks.trouble(),
      failure && `what this auth server knows of the cluster stands still: ${messageOf(failure)}`,
      contact.refusal(),
      lag.trouble(),
    ],
    lacks: [
      storeWorry(log),
      compaction.trouble(),
      heads.trouble(),
      secrets.trouble(),
      unreadableText(views),
      foreignSecondFactor(views),
    ],
    notices: [clocks.notice(), rotation.trouble()],
  });
}
