import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isCoded, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { isAlive, type ProcessRef, processRef } from '../../base/process-ref.ts';

/** The generations of one daemon, which know each other by files in `<data_dir>/proc/generations`. */
export interface Generations {
  /** Others with our command line that are alive: those started before us, and after us. */
  older(): ProcessRef[];
  newer(): ProcessRef[];
  /** We are about to end. */
  leave(): void;
}

export interface GenerationsOptions {
  readonly sink: Pick<LogSink, 'warn'>;
  /**
   * Whether another process serves already and continues when this one does not start. Default: none does.
   */
  readonly hasPredecessor?: boolean;
  /** Default: to the disk. */
  readonly write?: typeof writeFileAtomic;
}

/**
 * Enters this process among the generations of the daemon with this command line. Those that were killed are
 * forgotten. On a full disk a process without a predecessor starts without an entry: whoever comes to free
 * space must find a running daemon.
 * @param commandLine two daemons of one data directory differ in it (`--roles=`), and each ends only its own
 *   generations.
 */
export function joinGenerations(
  dataDir: string,
  commandLine: readonly string[],
  { sink, hasPredecessor = false, write = writeFileAtomic }: GenerationsOptions,
): Generations {
  const directory = join(dataDir, 'proc', 'generations');
  const self = processRef(process.pid);
  const name = `${process.pid}-${self?.startTime ?? ''}`;
  // A digest, since it may contain a token.
  const text = createHash('sha256').update(JSON.stringify(commandLine)).digest('hex');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    write(join(directory, name), text, 0o600);
  } catch (e) {
    if (!isFull(e) || hasPredecessor) throw e;
    sink.warn('a process that takes over from this one will not end it when it is told to end: free space', {
      reason: messageOf(e),
    });
  }
  const others = (): ProcessRef[] =>
    namesIn(directory)
      .filter((one) => one !== name)
      .flatMap((one) => aliveAmong(directory, one, text));
  const own = self ?? { pid: process.pid, startTime: '0' };
  return {
    older: () => others().filter((one) => precedes(one, own)),
    newer: () => others().filter((one) => precedes(own, one)),
    leave: () => {
      forget(join(directory, name));
    },
  };
}

const isFull = (e: unknown): boolean =>
  isCoded(e, 'no_space') || ['ENOSPC', 'EDQUOT'].includes((e as NodeJS.ErrnoException).code ?? '');

/** Empty for a folder that could not be made on a full disk. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw e;
  }
}

/**
 * A file that cannot be removed, because the disk became read-only, names a process that is seen to be gone.
 */
function forget(path: string): void {
  try {
    unlinkSync(path);
  } catch (e) {
    if (!['ENOENT', 'EROFS'].includes((e as NodeJS.ErrnoException).code ?? '')) throw e;
  }
}

/** Two of the same clock tick are ordered by process id, which wraps around too rarely to matter. */
const precedes = (a: ProcessRef, b: ProcessRef): boolean =>
  a.startTime === b.startTime ? a.pid < b.pid : Number(a.startTime) < Number(b.startTime);

function aliveAmong(directory: string, name: string, text: string): ProcessRef[] {
  const [, pid, startTime = ''] = /^(\d+)-(\d+)$/.exec(name) ?? [];
  if (pid === undefined) return [];
  const path = join(directory, name);
  const ref = { pid: Number(pid), startTime };
  if (!isAlive(ref)) {
    forget(path);
    return [];
  }
  try {
    return readFileSync(path, 'utf8') === text ? [ref] : [];
  } catch {
    return []; // it left while we looked
  }
}
