import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import type { Partition } from '../../log/event.ts';
import { readLogKeys } from '../../log/log-key.ts';
import { lostBranches } from '../../log/lost-branches.ts';
import { checkHead, type SignedHead } from '../../log/signed-head.ts';
import { parseWitness } from './witness-read.ts';

/*
 * A witness that is a file on this machine may have a newer head than the store: then the store went back. It
 * is read at a start, as the file of known places is; witnesses on the network are left to `tctl log verify`.
 */

/** The newest heads are at the end, and a file of years is long. */
const tailBytes = 1024 * 1024;
/** Presence is trimmed as it ages, and so are its recoveries. */
const asked = ['state', 'audit'] as const;

/**
 * Heads of another log, or without a valid signature, prove nothing; nor do those of a branch that was given
 * up by `tctl log recover`. A file that cannot be read is reported, and does not prevent the start.
 */
export async function lookForWitnessed(
  log: Pick<ClusterLog, 'lookFor' | 'stats' | 'state' | 'audit'>,
  targets: readonly string[],
  sink: LogSink,
): Promise<void> {
  // It is known already, and the keys of the log cannot be read then.
  if (log.stats().state.wentBack !== undefined) return;
  const heads: SignedHead[] = [];
  for (const target of targets)
    if (target.startsWith('file:')) heads.push(...(await headsAtTheEnd(fileURLToPath(target), sink)));
  if (heads.length === 0) return;
  const keys = await readLogKeys(log.state);
  const signed = heads.filter((head) => checkHead(head, keys) === 'good');
  for (const partition of asked) {
    const settled = await lostBranches(log[partition], partition);
    const newest = newestOf(
      signed.filter(({ slot }) => !settled.some(({ after, upTo }) => after < slot && slot <= upTo)),
      partition,
    );
    if (newest !== undefined)
      await log.lookFor(partition, { slot: newest.slot, hash: Buffer.from(newest.hash, 'hex') });
  }
}

const newestOf = (heads: readonly SignedHead[], partition: Partition): SignedHead | undefined =>
  heads
    .filter((head) => head.partition === partition)
    .reduce<SignedHead | undefined>(
      (newest, head) => (newest !== undefined && newest.slot >= head.slot ? newest : head),
      undefined,
    );

async function headsAtTheEnd(path: string, sink: LogSink): Promise<SignedHead[]> {
  try {
    return parseWitness(await endOf(path), path).heads.map(({ head }) => head);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ENOENT')
      sink.warn('a witness cannot be asked whether the store went back', { path, reason: messageOf(e) });
    return [];
  }
}

/** A line that is cut in two is not a head. */
async function endOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - tailBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
