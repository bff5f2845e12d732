import type { Stats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileFaultText, isFileFault } from './file-fault.ts';
import { formatScpRecord, type ScpRecord } from './scp-record.ts';
import type { ScpStream } from './scp-stream.ts';

/** Called for each file, with `done` of `size` bytes: at the beginning, during the copy, and at the end. */
export type Progress = (path: string, size: number, done: number) => void;

export interface Sending {
  readonly recursive: boolean;
  /** Send the times as well. */
  readonly preserve: boolean;
  readonly progress?: Progress | undefined;
}

/**
 * `Sending`, and the real paths of the folders this one is in: a link back to one of them would never end.
 */
interface Inside extends Sending {
  readonly above: readonly string[];
}

const PIECE = 256 * 1024;

/**
 * Sends files, and folders when `recursive`, to a waiting `scp -t`. Files that cannot be sent are reported to
 * the other side and are in `stream.complaints`, and the rest continues. Finished ones are removed from
 * `paths`: an interrupted copy leaves there what was not copied.
 * @throws CodedError when the copy is broken off.
 */
export async function sendFiles(stream: ScpStream, paths: string[], sending: Sending): Promise<void> {
  if (!(await stream.acknowledged())) return;
  for (let path = paths[0]; path !== undefined; path = paths[0]) {
    await sendPath(stream, path, { ...sending, above: [] });
    paths.shift();
  }
}

async function sendPath(stream: ScpStream, path: string, inside: Inside): Promise<void> {
  // A newline would end the record early. Source: scp(1), which sends the same.
  const name = basename(resolve(path)).replaceAll('\n', '\\^J');
  if (name === '') return stream.complain(`${path}: this name cannot be sent`);
  try {
    const real = await fs.realpath(path);
    const info = await fs.lstat(real);
    if (info.isFile()) await sendFile(stream, path, name, inside);
    else if (!info.isDirectory()) await stream.complain(`${path}: not a regular file`);
    else if (!inside.recursive) await stream.complain(`${path}: not a regular file (a directory: use -r)`);
    else if (inside.above.includes(real)) await stream.complain(`${path}: a link to a folder it is in`);
    else await sendFolder(stream, path, name, info, { ...inside, above: [...inside.above, real] });
  } catch (e) {
    if (!isFileFault(e)) throw e;
    await stream.complain(fileFaultText(path, e));
  }
}

async function sendFolder(
  stream: ScpStream,
  path: string,
  name: string,
  info: Stats,
  inside: Inside,
): Promise<void> {
  const names = (await fs.readdir(path)).sort();
  if (!(await isWanted(stream, info, { kind: 'directory', mode: info.mode, name }, inside))) return;
  for (const entry of names) await sendPath(stream, join(path, entry), inside);
  await stream.write(formatScpRecord({ kind: 'end' }));
  await stream.acknowledged();
}

async function sendFile(stream: ScpStream, path: string, name: string, inside: Inside): Promise<void> {
  // So as not to hang on a FIFO that replaced the file.
  const file = await fs.open(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const info = await file.stat();
    const { size, mode } = info;
    if (!(await isWanted(stream, info, { kind: 'file', mode, size, name }, inside))) return;
    const problem = await sendContents(stream, file, path, size, inside.progress);
    if (problem === undefined) await stream.acknowledge();
    else await stream.complain(problem);
    await stream.acknowledged();
  } finally {
    await file.close();
  }
}

/** Announces the next record. False when the other side refuses it. */
async function isWanted(
  stream: ScpStream,
  info: Stats,
  record: ScpRecord,
  { preserve }: Sending,
): Promise<boolean> {
  if (preserve) {
    const times = { modified: seconds(info.mtimeMs), accessed: seconds(info.atimeMs) };
    await stream.write(formatScpRecord({ kind: 'times', ...times }));
    if (!(await stream.acknowledged())) return false;
  }
  await stream.write(formatScpRecord(record));
  return stream.acknowledged();
}

/** Exactly the announced number of bytes, whatever happens to the file: zeros replace unreadable parts. */
async function sendContents(
  stream: ScpStream,
  file: fs.FileHandle,
  path: string,
  size: number,
  progress: Progress = () => undefined,
): Promise<string | undefined> {
  let problem: string | undefined;
  progress(path, size, 0);
  for (let done = 0; done < size;) {
    const wanted = Math.min(PIECE, size - done);
    const read = problem ?? (await readPiece(file, path, wanted));
    if (typeof read === 'string') problem = read;
    const piece = typeof read === 'string' ? Buffer.alloc(wanted) : read;
    await stream.write(piece);
    done += piece.length;
    progress(path, size, done);
  }
  return problem;
}

/** From 1 to `wanted` bytes, or why there are none. */
async function readPiece(file: fs.FileHandle, path: string, wanted: number): Promise<Buffer | string> {
  try {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, null);
    return bytesRead === 0
      ? `${path}: the file became shorter while it was sent`
      : buffer.subarray(0, bytesRead);
  } catch (e) {
    return fileFaultText(path, e);
  }
}

const seconds = (ms: number): number => Math.floor(ms / 1000);
