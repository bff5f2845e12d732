import { randomUUID } from 'node:crypto';
import { recordingMetrics } from '../../src/api/testing.ts';
import { indexAudit } from '../../src/auth/audit/index-audit.ts';
import { buildDeps } from '../../src/auth/build-deps.ts';
import type { AuthDeps } from '../../src/auth/deps.ts';
import { forgetAbsent } from '../../src/auth/host/forget-absent.ts';
import { type Compaction, startCompaction } from '../../src/auth/log/compaction.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { World } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { type MonthPlace, monthLog } from './month-store.ts';

/** A clock that the simulation moves. */
export interface MonthClock {
  readonly world: World;
  /** Milliseconds since the simulation began. */
  elapsed(): number;
  /** Never back. */
  moveTo(elapsedMs: number): void;
}

/** An auth server without its sockets: its use cases, and all that it does by itself. */
export interface MonthServer {
  readonly deps: AuthDeps;
  readonly log: ClusterLog;
  readonly compaction: Compaction;
  /** What it warned of. */
  readonly warnings: readonly string[];
  /** What a running server does at least every five minutes: heads, snapshots, the archive. */
  tend(): Promise<void>;
  /** The index of the audit, and machines that are gone. */
  tendHourly(): Promise<void>;
  close(): Promise<void>;
}

export interface MonthServerOptions {
  readonly place: MonthPlace;
  readonly world: World;
  /** See `CompactionOptions`. */
  readonly snapshotEvery?: number | undefined;
}

export async function startMonthServer({
  place,
  world,
  snapshotEvery,
}: MonthServerOptions): Promise<MonthServer> {
  const hostId = randomUUID();
  const warnings: string[] = [];
  const complain = (message: string, fields: Readonly<Record<string, unknown>>): void => {
    warnings.push(`${world.now()} ${message} ${JSON.stringify(fields)}`);
  };
  const sink: LogSink = { debug: ignore, info: ignore, warn: complain, error: complain };
  const log = await monthLog(place, world, hostId);
  const parts = { log, world, sink, metrics: recordingMetrics(), hostId };
  const { deps, close } = await buildDeps({
    ...parts,
    ...{ clusterName: 'example', nodename: 'auth-1', secondFactor: 'off' },
    ageing: () => Date.parse(world.now()),
  });
  const compaction = startCompaction({
    ...parts,
    log: deps.log,
    views: deps.views,
    tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
    everyEvents: snapshotEvery,
  });
  const indexing = indexAudit(deps);
  const forgetting = forgetAbsent(deps);
  return {
    deps,
    log,
    compaction,
    warnings,
    tend: async () => {
      await deps.heads.run();
      await compaction.run();
    },
    tendHourly: async () => {
      await indexing.run();
      await forgetting.run();
    },
    close: async () => {
      await compaction.close();
      await indexing.close();
      await forgetting.close();
      await close();
      await log.close();
    },
  };
}

const ignore = (): void => undefined;
