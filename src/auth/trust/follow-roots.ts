import { announcedOf } from '../../api/announced-authority.ts';
import { backoffMs, randomFraction } from '../../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { minute, second } from '../../base/time.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { areSameKeys } from '../../domain/cluster-keys.ts';
import type { AuthorityType, SignedAnnouncement } from '../../domain/authority-facts.ts';
import { trustedClusterStream } from '../../domain/streams.ts';
import { trustedCluster } from '../../domain/trusted-cluster.ts';
import { step, transact } from '../../log/execute.ts';
import { findTrusted, type NamedTrust, trustedClusters } from '../../views/trusted-clusters.ts';
import type { AuthDeps } from '../deps.ts';
import { ownCause } from '../own-cause.ts';
import { clusterOf } from '../lookups.ts';
import { requireOwnKeys, statedKeys } from './stated-keys.ts';
import { webAddressOf } from './trust-with.ts';

export interface FollowingRoots {
  /** Asks each trusted cluster whose turn it is; resolves when they have answered. */
  run(): Promise<void>;
  close(): Promise<void>;
}

/** How often it looks whose turn it is. */
const lookMs = 5 * second;
/**
 * How often a cluster is asked that answers. A rotation there takes longer, and announces both keys
 * meanwhile.
 */
const everyMs = minute;
const retry = { baseMs: 5 * second, maxMs: 5 * minute };

type Deps = Pick<
  AuthDeps,
  'log' | 'views' | 'world' | 'sink' | 'hostId' | 'lag' | 'contact' | 'otherClusters'
>;

interface Turn {
  /** By the monotonic clock. */
  readonly dueMs: number;
  readonly failures: number;
  /** What was logged last, so that it is logged once. */
  readonly told: string | undefined;
}

/**
 * Follows the keys of clusters that are trusted, and announces this cluster's to them, which have no other
 * way
 * to ask. Every auth server does: which of them writes a change first makes no difference. A cluster that is
 * disabled is followed as well, so that it can be enabled again.
 */
export function followRoots(deps: Deps): FollowingRoots {
  const turns = new Map<string, Turn>();
  const look = async (): Promise<void> => {
    if (deps.lag.trouble() !== undefined || deps.contact.refusal() !== undefined) return;
    const all = trustedClusters(deps.views.trustedClusters.state());
    const names = new Set(all.map(({ clusterName }) => clusterName));
    for (const name of turns.keys()) if (!names.has(name)) turns.delete(name);
    const now = deps.world.monotonic();
    await Promise.all(
      all
        .filter(({ clusterName }) => (turns.get(clusterName)?.dueMs ?? now) <= now)
        .map(async (one) => {
          turns.set(one.clusterName, await ask(one, turns.get(one.clusterName)));
        }),
    );
  };

  const ask = async (one: NamedTrust, before: Turn | undefined): Promise<Turn> => {
    const jitter = randomFraction(deps.world);
    try {
      await follow(deps, one);
      return { dueMs: deps.world.monotonic() + everyMs * (0.8 + 0.4 * jitter), failures: 0, told: undefined };
    } catch (e) {
      if (!isCoded(e)) throw e;
      const failures = (before?.failures ?? 0) + 1;
      const told = messageOf(e);
      if (told !== before?.told)
        deps.sink.warn('the keys of a trusted cluster cannot be followed; tries again', {
          ...{ cluster: one.clusterName, address: one.trust.webProxyAddress, reason: told },
          advice:
            'if that cluster has replaced its keys at once, give another token of it: tctl create -f trusted_cluster.yaml',
        });
      const waitMs = second + backoffMs(failures, retry.baseMs, retry.maxMs, jitter);
      return { dueMs: deps.world.monotonic() + waitMs, failures, told };
    }
  };

  let running = Promise.resolve();
  let isRunning = false;
  const begin = (): Promise<void> => {
    if (isRunning) return running;
    isRunning = true;
    running = look()
      .catch((e: unknown) => {
        deps.sink.error('the keys of trusted clusters are not followed', { reason: messageOf(e) });
      })
      .finally(() => {
        isRunning = false;
      });
    return running;
  };
  const timer = startTicker(() => void begin(), lookMs);
  timer.unref();
  return {
    run: begin,
    close: async () => {
      stopTimer(timer);
      await running;
    },
  };
}

/** @throws CodedError with why that cluster did not answer, or what it announces is not accepted. */
async function follow(deps: Deps, { clusterName, trust }: NamedTrust): Promise<void> {
  const { announcement } = announcedOf(deps.views.authorities.state().host.state);
  const answer = await deps.otherClusters.follow(webAddressOf(trust.webProxyAddress), {
    clusterName: clusterOf(deps.views).clusterName,
    ...(announcement === undefined ? {} : { host: announcement }),
  });
  if (answer.clusterName !== clusterName)
    throw new CodedError('access_denied', 'another cluster answers at its address');
  for (const type of ['host', 'user'] as const) {
    const statement = answer[type];
    if (statement !== undefined) await accept(deps, { clusterName, type, statement });
  }
}

async function accept(
  deps: Deps,
  {
    clusterName,
    type,
    statement,
  }: {
    readonly clusterName: string;
    readonly type: AuthorityType;
    readonly statement: SignedAnnouncement;
  },
): Promise<void> {
  const known = findTrusted(deps.views.trustedClusters.state(), clusterName)?.[type];
  if (known === undefined) return;
  const stated = statedKeys(deps, { clusterName, type, statement, after: known.number });
  if (stated.number === known.number && areSameKeys(stated.keys, known.keys)) return;
  const asOf = await deps.views.fresh();
  requireOwnKeys(deps, clusterName, {
    host:
      type === 'host'
        ? stated.keys
        : (findTrusted(deps.views.trustedClusters.state(), clusterName)?.host.keys ?? []),
    ...(type === 'user' ? { user: stated.keys } : {}),
  });
  const { position } = await transact(
    deps.log.state,
    [
      step(trustedCluster, trustedClusterStream(clusterName), {
        ...{ type: 'follow-keys', authority: type, stated },
      }),
    ],
    ownCause(deps),
    { asOf },
  );
  if (position === undefined) return;
  await deps.views.reached(position);
  deps.sink.info('a trusted cluster has other keys now', { cluster: clusterName, authority: type });
}
