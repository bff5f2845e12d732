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

/** What decides in which condition an auth server is. */
export interface AuthStanding {
  readonly log: Pick<ClusterLog, 'stats' | 'store'>;
  readonly views: Pick<AuthViews, 'failure'> & ReadingViews;
  readonly lag: Pick<FoldLag, 'trouble'>;
  readonly contact: Pick<StoreContact, 'refusal'>;
  readonly clocks: Pick<ClockWatch, 'trouble' | 'notice'>;
  /** Upkeep that is late, and is caught up automatically. */
  readonly compaction: Upkeep;
  readonly heads: Upkeep;
  readonly secrets: Upkeep;
  readonly forgetting: Upkeep;
  readonly apart: Upkeep;
  readonly telling: Upkeep;
  readonly indexing: Upkeep;
  /** A rotation waits for hosts: nothing is broken, but somebody should look. */
  readonly rotation: Upkeep;
}

interface Upkeep {
  trouble(): string | undefined;
}

/**
 * A server that cannot write, or is behind its store, issues nothing: callers shall ask another one. A server
 * whose upkeep is late (heads not signed yet, snapshots, keys to destroy) decides and signs as usual.
 */
export function authCondition(standing: AuthStanding): Condition {
  const { log, views, lag, contact, clocks, compaction, heads, secrets, rotation } = standing;
  const { forgetting, apart, telling, indexing } = standing;
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
      forgetting.trouble(),
      apart.trouble(),
      telling.trouble(),
      indexing.trouble(),
      unreadableText(views),
      foreignSecondFactor(views),
    ],
    notices: [clocks.notice(), rotation.trouble()],
  });
}
