import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncFolder } from '../base/durable-files.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { ensurePrivateDirectory } from '../base/files.ts';
import type { LogSink } from '../base/log-sink.ts';
import { isAlive, processRef } from '../base/process-ref.ts';
import { keepDamaged, remove, rewrite } from './spool-files.ts';
import { openReserve, removeOldReserves, type Reserve, withoutReserve } from './spool-reserve.ts';

/** One stored record and the file that contains it. */
export interface Spooled {
  readonly text: string;
  /** Of the text, in UTF-8. */
  readonly bytes: number;
  readonly segment: Segment;
  /** Its number among all records of one spool; undefined for records of an earlier release. */
  readonly number: number | undefined;
}

/** One file. It is deleted when all its records were delivered and nothing is written to it any more. */
export interface Segment {
  readonly path: string;
  /** The spool that wrote it: one life of one process, in all files it wrote. */
  readonly generation: string;
  waiting: number;
  /**
   * It has records that cannot be read, and no disk accepts a copy of them: it is kept instead of deleted.
   */
  keeps?: 'damaged';
}

export interface Spool {
  /**
   * Makes the records durable, all of them or none, in order, each with the next number. `texts` are JSON
   * objects that are not empty. They all go into one file: do not pass thousands.
   * @throws CodedError `no_space` or `unavailable` when the disk does not accept them.
   */
  write(texts: readonly string[]): Promise<readonly Spooled[]>;
  /**
   * As `write`, into the reserved file space (`spool-reserve.ts`), of which at least `leave` bytes stay free.
   * Once its records were delivered the space is free again.
   */
  writeReserved(texts: readonly string[], leave: number): Promise<readonly Spooled[]>;
  /** Allocates that space if it is not. @throws CodedError as `write` does, when there is no space for it. */
  prepareReserve(): Promise<void>;
  /** Writes a little beside the records and deletes it. @throws CodedError as `write` does. */
  tryDisk(): Promise<void>;
  /** The size of the reserve when none of it is used. */
  readonly reserveBytes: number;
  /** These were delivered: they are not read again after a restart, once their file is gone. */
  taken(records: readonly Spooled[]): Promise<void>;
  close(): Promise<void>;
}

/** A file with this many is not added to, since it is kept until all of it was delivered. */
const maxRecordsInFile = 512;
/** Numbers begin with a 0, so that there is always a next one with as many digits. */
const segmentName = /^(0\d{11})-(?:(\d+)\.(\d+)-)?([0-9a-f]{8})\.ndjson$/;

/**
 * A record is the text of a JSON object; its number is the last member. An earlier release reads it as one
 * more field.
 */
export const numberKey = 'spool_number';
const withNumber = (text: string, number: number): string => `${text.slice(0, -1)},"${numberKey}":${number}}`;
const numberAtEnd = new RegExp(`,"${numberKey}":(\\d{1,15})}$`);

function numberIn(text: string): number | undefined {
  const found = numberAtEnd.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Spools of this process that are open; nobody else may use their files. */
const openHere = new Set<string>();

/**
 * Several processes may use one directory: a daemon and its successor. Each writes its own files, which have
 * the process in their name; the files of a process that is gone are taken over.
 */
function isOrphan(name: string): boolean {
  const [, , pid, startTime = '', unique = ''] = segmentName.exec(name) ?? [];
  if (pid === undefined) return unique !== '';
  if (Number(pid) === process.pid) return !openHere.has(unique);
  return !isAlive({ pid: Number(pid), startTime });
}

/**
 * Append-only files in a private directory. A line is `<crc32, 8 hex digits> <record>`. Opening returns the
 * records that belong to no other living process, oldest first; `adopt` looks again. A line whose checksum is
 * wrong is moved to `<file>.damaged` with a warning: a write that was cut short (it was never acknowledged),
 * or a bad disk.
 */
export async function openSpool(
  directory: string,
  uniquePart: string,
  sink: LogSink,
  reserveBytes = 0,
): Promise<{ spool: Spool; found: Spooled[]; adopt: () => Promise<Spooled[]> }> {
  ensurePrivateDirectory(directory);
  const adopted = new Set<string>();
  const adopt = async (): Promise<Spooled[]> => {
    const entries = (await readdir(directory, { withFileTypes: true })).filter(
      ({ name }) => isOrphan(name) && !adopted.has(name),
    );
    await removeOldReserves(directory, (unique) => openHere.has(unique));
    const found: Spooled[] = [];
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      adopted.add(entry.name);
      const path = join(directory, entry.name);
      // Reading a pipe might wait for ever, and a link leads elsewhere.
      if (entry.isFile()) found.push(...(await readSegment(path, sink)));
      else sink.warn('the audit spool holds something that is not a file: it is left alone', { path });
    }
    return found;
  };
  const found = await adopt();
  const numbers = [...adopted].map((name) => Number(name.slice(0, 12)));
  openHere.add(uniquePart);
  const owner = `${process.pid}.${processRef(process.pid)?.startTime ?? '0'}`;
  const mine = { owner, unique: uniquePart };
  const reserve = openReserve(directory, mine, reserveBytes);
  return { spool: spoolIn(directory, mine, { last: Math.max(0, ...numbers), reserve }), found, adopt };
}

async function readSegment(path: string, sink: LogSink): Promise<Spooled[]> {
  const bytes = withoutReserve(await readFile(path));
  const segment: Segment = { path, generation: basename(path, '.ndjson').slice(13), waiting: 0 };
  const good: Spooled[] = [];
  const damaged: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(at, end);
    const text = newline < 0 ? undefined : checked(line);
    if (text === undefined) {
      damaged.push(line);
      sink.warn('the audit spool has a damaged record: it is put aside', {
        file: path,
        offset: at,
        bytes: line.length,
        keptIn: `${path}.damaged`,
        cutShort: newline < 0,
      });
    } else good.push(spooled(text, segment, numberIn(text)));
    at = end + 1;
  }
  segment.waiting = good.length;
  if (damaged.length > 0) await setApart(segment, good, damaged, sink);
  else if (good.length === 0) await remove(path);
  return good;
}

/**
 * A full disk does not keep a daemon from starting, because people who come to free space enter through it.
 */
async function setApart(
  segment: Segment,
  good: readonly Spooled[],
  damaged: readonly Buffer[],
  sink: LogSink,
): Promise<void> {
  const lines = good.map((one) => lineOf(one.text));
  try {
    await rewrite(segment.path, lines, damaged);
  } catch (e) {
    segment.keeps = 'damaged';
    const keptIn = `${segment.path}.damaged-whole`;
    sink.warn('damaged records of the audit spool cannot be put aside now, the whole file will be kept', {
      reason: messageOf(e),
      keptIn,
    });
    if (good.length === 0) await keepDamaged(segment.path);
  }
}

function checked(line: Buffer): string | undefined {
  const sum = line.subarray(0, 8).toString('latin1');
  const record = line.subarray(9);
  return line[8] === 0x20 && sum === sumOf(record) ? record.toString('utf8') : undefined;
}

const spooled = (text: string, segment: Segment, number: number | undefined): Spooled => ({
  text,
  bytes: Buffer.byteLength(text),
  segment,
  number,
});

const sumOf = (record: Uint8Array): string => crc32(record).toString(16).padStart(8, '0');
const lineOf = (text: string): string => `${sumOf(Buffer.from(text))} ${text}\n`;

interface OpenSegment extends Segment {
  readonly file: FileHandle;
  size: number;
  written: number;
}

/** @throws the error of the disk; then nothing was written, as far as `undo` can ensure that. */
async function put(
  segment: OpenSegment,
  lines: readonly string[],
  undo: () => Promise<unknown>,
): Promise<void> {
  const bytes = Buffer.from(lines.join(''));
  try {
    for (let at = 0; at < bytes.length;)
      at += (await segment.file.write(bytes, at, bytes.length - at, segment.size + at)).bytesWritten;
    await segment.file.datasync();
  } catch (e) {
    await undo();
    throw e;
  }
  segment.size += bytes.length;
  segment.written += lines.length;
  segment.waiting += lines.length;
}

function spoolIn(
  directory: string,
  { owner, unique }: { readonly owner: string; readonly unique: string },
  { last: lastNumber, reserve }: { readonly last: number; readonly reserve: Reserve },
): Spool {
  let number = lastNumber;
  let current: OpenSegment | undefined;
  /**
   * The reserve, while it has records. Files are in the order of their records: it is never older than
   * `current`.
   */
  let reserved: OpenSegment | undefined;
  let records = 0;
  const generation = `${owner}-${unique}`;

  const nextPath = (): string => {
    number++;
    return join(directory, `${String(number).padStart(12, '0')}-${generation}.ndjson`);
  };
  const opened = (path: string, file: FileHandle): OpenSegment => ({
    ...{ path, generation, waiting: 0, file, size: 0, written: 0 },
  });

  const begin = async (): Promise<OpenSegment> => {
    const path = nextPath();
    current = opened(path, await open(path, 'ax', 0o600));
    await syncFolder(directory);
    return current;
  };

  const finish = async (): Promise<void> => {
    const segment = current;
    current = undefined;
    if (!segment) return;
    await segment.file.close();
    if (segment.waiting === 0) await remove(segment.path);
  };

  const beginReserved = async (): Promise<OpenSegment> => {
    const path = nextPath();
    const file = await reserve.take(path);
    if (file === undefined) throw new CodedError('no_space', 'no space is set aside for the audit spool');
    reserved = opened(path, file);
    await finish();
    await syncFolder(directory);
    return reserved;
  };

  /** It is an ordinary file from here on. */
  const retireReserved = async (): Promise<void> => {
    const segment = reserved;
    reserved = undefined;
    if (!segment) return;
    reserve.letGo();
    await segment.file.truncate(segment.size).catch(() => undefined); // it is only larger than necessary
    await segment.file.close();
    if (segment.waiting === 0) await remove(segment.path);
  };

  const numbered = (texts: readonly string[], segment: Segment): Spooled[] =>
    texts.map((text): Spooled => {
      records++;
      return spooled(withNumber(text, records), segment, records);
    });

  const append = async (texts: readonly string[]): Promise<Spooled[]> => {
    const segment = current ?? (await begin());
    const written = numbered(texts, segment);
    // The half-written part must not come before a later record.
    await put(
      segment,
      written.map((one) => lineOf(one.text)),
      () => segment.file.truncate(segment.size).catch(finish),
    );
    await retireReserved();
    if (segment.written >= maxRecordsInFile) await finish();
    return written;
  };

  const appendReserved = async (texts: readonly string[], leave: number): Promise<Spooled[]> => {
    const segment = reserved ?? (await beginReserved());
    const written = numbered(texts, segment);
    const lines = written.map((one) => lineOf(one.text));
    if (segment.size + Buffer.byteLength(lines.join('')) > reserve.bytes - leave)
      throw new CodedError('no_space', 'what was set aside for the audit spool is used up');
    await put(segment, lines, retireReserved);
    return written;
  };

  const release = async (taken: readonly Spooled[]): Promise<void> => {
    for (const { segment } of taken) segment.waiting--;
    for (const segment of new Set(taken.map((record) => record.segment))) {
      if (segment.waiting > 0) continue;
      if (segment === current) await finish();
      else if (segment === reserved) {
        const drained = reserved;
        reserved = undefined;
        await reserve.giveBack(drained, drained.size);
      } else if (segment.keeps === 'damaged') await keepDamaged(segment.path);
      else await remove(segment.path);
    }
  };

  /** One operation at a time: a file must not be closed during a write. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const mine = last.then(act).catch((e: unknown) => {
      throw asSpoolError(e, directory);
    });
    last = mine.catch(() => undefined);
    return mine;
  };

  return {
    reserveBytes: reserve.bytes,
    write: (texts) => inTurn(() => append(texts)),
    writeReserved: (texts, leave) => inTurn(() => appendReserved(texts, leave)),
    tryDisk: () => inTurn(() => reserve.tryDisk()),
    prepareReserve: () => inTurn(() => reserve.prepare()),
    taken: (records) => inTurn(() => release(records)),
    close: async () => {
      await inTurn(async () => {
        await finish();
        await retireReserved();
        await reserve.close();
      });
      openHere.delete(unique);
    },
  };
}

/** The error for the caller of a write when the disk fails. */
export function asSpoolError(e: unknown, directory: string): CodedError {
  if (isCoded(e)) return e;
  const code = (e as { code?: unknown }).code;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new CodedError(
    full ? 'no_space' : 'unavailable',
    `the audit spool ${directory} cannot be written: ${messageOf(e)}`,
    { cause: e },
  );
}
