import { chownSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CodedError, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { type Partition, partitions } from '../../log/event.ts';
import type { KnownPlace } from '../../log/reader-options.ts';

/*
 * What the store of the log was last seen to contain, in a file on this machine. A process that starts
 * compares, so that a store that was restored from a backup while no auth server ran, or before one was
 * restarted, is not taken for the whole log.
 */

const fileName = 'log-known.json';

const shape = z.object({
  /** The store as the configuration names it: nothing is known here about another one. */
  store: z.string(),
  partitions: z.record(
    z.string(),
    z.object({
      slot: z.number().int().nonnegative(),
      hash: z.string().regex(/^[0-9a-f]{64}$/),
      /** Its batches have MACs: it is never again trusted without them. */
      authentic: z.boolean().optional(),
      macKeyId: z.string().optional(),
    }),
  ),
});

export type KnownPlaces = Partial<Readonly<Record<Partition, KnownPlace>>>;

export const knownPlacesPath = (dataDir: string): string => join(dataDir, fileName);

/** Empty for another store, or before the first run. @throws CodedError `misconfigured` for a bad file. */
export function readKnownPlaces(dataDir: string, store: string): KnownPlaces {
  const path = knownPlacesPath(dataDir);
  if (!existsSync(path)) return {};
  let known;
  try {
    known = shape.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (e) {
    throw new CodedError(
      'misconfigured',
      `${path} does not hold what this machine knows of the log (${messageOf(e)}): remove it when the store is known to be whole`,
      { cause: e },
    );
  }
  if (known.store !== store) return {};
  return Object.fromEntries(
    partitions.flatMap((partition) => {
      const found = known.partitions[partition];
      if (found === undefined || found.slot === 0) return [];
      const { slot, hash, authentic = false, macKeyId } = found;
      return [[partition, { slot, hash: Buffer.from(hash, 'hex'), authentic, macKeyId }]];
    }),
  );
}

const everyMs = 5_000;

interface KnownFile {
  readonly dataDir: string;
  readonly store: string;
}

/** What the store contains now, as one line of text. */
function textOf(log: Pick<ClusterLog, 'stats'>, store: string): string {
  const stats = log.stats();
  const places = Object.fromEntries(
    partitions.map((partition) => {
      const { slot, hash, authenticFrom, macKeyId } = stats[partition];
      return [partition, { slot, hash, authentic: authenticFrom !== undefined, macKeyId }];
    }),
  );
  return `${JSON.stringify({ store, partitions: places })}\n`;
}

/** Also by root for a daemon that runs as another user. */
export function writeKnownPlaces(log: Pick<ClusterLog, 'stats'>, { dataDir, store }: KnownFile): void {
  const path = knownPlacesPath(dataDir);
  writeFileAtomic(path, textOf(log, store), 0o600);
  const { uid, gid } = statSync(dataDir);
  if (process.getuid?.() === 0 && uid !== 0) chownSync(path, uid, gid);
}

/**
 * Writes the newest places from time to time, and when it is closed; but not while the store is found to have
 * gone back, nor while it cannot be read to its end: a process that opened it then knows less than the file.
 * Nothing is written of a log that is empty.
 */
export function keepKnownPlaces(
  log: Pick<ClusterLog, 'stats'>,
  { sink, ...file }: KnownFile & { readonly sink: LogSink },
): { close(): void } {
  let written = '';
  let failing = false;
  const write = (): void => {
    const stats = log.stats();
    if (partitions.some((one) => (stats[one].wentBack ?? stats[one].damage) !== undefined)) return;
    // A first start that failed has made nothing: such a file would stop the next one.
    if (written === '' && partitions.every((one) => stats[one].slot === 0)) return;
    const text = textOf(log, file.store);
    if (text === written) return;
    try {
      writeKnownPlaces(log, file);
      written = text;
      failing = false;
    } catch (e) {
      if (!failing) sink.warn('what is known of the log cannot be written down', { reason: messageOf(e) });
      failing = true;
    }
  };
  const timer = startTicker(write, everyMs);
  timer.unref();
  return {
    close: () => {
      stopTimer(timer);
      write();
    },
  };
}

/**
 * An auth server that has only just started knows no more than its file. @throws CodedError `misconfigured`
 */
export function refuseStoreThatWentBack(log: Pick<ClusterLog, 'stats'>): void {
  const stats = log.stats();
  for (const partition of partitions) {
    const { wentBack } = stats[partition];
    if (wentBack !== undefined)
      throw new CodedError(
        'misconfigured',
        `${wentBack}. Where another auth server still runs, do that there first; then here: tctl log recover --offline`,
      );
  }
}
