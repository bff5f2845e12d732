import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../base/errors.ts';
import { ownUmask } from '../base/umask.ts';
import { fileFaultText } from './file-fault.ts';
import { parseScpRecord, type ScpRecord } from './scp-record.ts';
import type { Progress } from './scp-send.ts';
import type { ScpStream } from './scp-stream.ts';

export type Named = Extract<ScpRecord, { name: string }>;
type Times = Extract<ScpRecord, { kind: 'times' }>;

/**
 * Where a received file goes; `first` of its folder. @throws CodedError when it is not allowed: that ends the
 * copy.
 */
export type Place = (record: Named, first: boolean) => Promise<string>;

export interface Receiving {
  /** For files that are not inside a received folder. */
  readonly place: Place;
  readonly recursive: boolean;
  /** Set modes exactly, and the times where they are sent. */
  readonly preserve: boolean;
  readonly progress?: Progress | undefined;
}

/** `Receiving`, and the bits that our umask removes from received modes. */
interface Taking extends Receiving {
  readonly umask: number;
}

/**
 * Receives the files of an `scp -f`. Files that could not be written are in `stream.complaints`, and the rest
 * continues.
 * @throws CodedError when the copy is broken off.
 */
export async function receiveFiles(stream: ScpStream, receiving: Receiving): Promise<void> {
  await stream.acknowledge();
  await receiveLevel(stream, { ...receiving, umask: ownUmask() }, receiving.place, false);
}

/** Reads records until the end of this folder; of all, when it is not `inside` one. */
async function receiveLevel(stream: ScpStream, taking: Taking, place: Place, inside: boolean): Promise<void> {
  let first = true;
  let times: Times | undefined;
  for (let line = await stream.record(); line !== undefined; line = await stream.record()) {
    const record = parseScpRecord(line);
    switch (record.kind) {
      case 'end':
        if (inside) return;
        throw new CodedError('unavailable', 'the other side ended a folder that it did not begin');
      case 'times':
        times = taking.preserve ? record : undefined;
        await stream.acknowledge();
        continue;
      case 'file':
        await receiveFile(stream, await place(record, first), record, times, taking);
        break;
      case 'directory':
        await receiveFolder(stream, await place(record, first), record.mode, times, taking);
    }
    first = false;
    times = undefined;
  }
  if (inside) throw new CodedError('unavailable', 'the other side ended the copy inside a folder');
}

/**
 * The mode as sent, with -p; otherwise without the bits of the umask and without set-id bits. Source: scp(1).
 */
const bitsOf = (mode: number, { preserve, umask }: Taking): number =>
  preserve ? mode : mode & 0o777 & ~umask;

/** Until it is left, its owner may write in it. */
const OWNER_MAY = 0o700;

async function receiveFolder(
  stream: ScpStream,
  path: string,
  mode: number,
  times: Times | undefined,
  taking: Taking,
): Promise<void> {
  if (!taking.recursive)
    throw new CodedError('access_denied', 'the other side sent a folder, which was not asked for (use -r)');
  const known = await isFolder(path);
  try {
    if (!known) await fs.mkdir(path, { mode: bitsOf(mode, taking) | OWNER_MAY });
    else if (taking.preserve) await fs.chmod(path, (mode & 0o777) | OWNER_MAY);
  } catch (e) {
    // None of the following files could be put anywhere.
    throw new CodedError('unavailable', fileFaultText(path, e), { cause: e });
  }
  await stream.acknowledge();
  await receiveLevel(stream, taking, ({ name }) => Promise.resolve(join(path, name)), true);
  try {
    // An existing folder keeps its mode, except with -p.
    if (!known || taking.preserve) await fs.chmod(path, bitsOf(mode, taking));
    if (times !== undefined) await fs.utimes(path, times.accessed, times.modified);
  } catch (e) {
    await stream.complain(fileFaultText(path, e));
    return;
  }
  await stream.acknowledge();
}

/**
 * A file that cannot be written is reported and skipped: its bytes are still read, to reach the next record.
 */
async function receiveFile(
  stream: ScpStream,
  path: string,
  { size, mode }: { readonly size: number; readonly mode: number },
  times: Times | undefined,
  taking: Taking,
): Promise<void> {
  let file: fs.FileHandle;
  try {
    file = await fs.open(path, 'w', bitsOf(mode, taking) & 0o777);
  } catch (e) {
    await stream.complain(fileFaultText(path, e)); // instead of "go on": the sender skips it
    return;
  }
  try {
    await stream.acknowledge();
    let problem = await writeContents(stream, file, path, size, taking.progress);
    await stream.acknowledged();
    try {
      // An existing file keeps its mode, except with -p.
      if (problem === undefined && taking.preserve) await file.chmod(mode);
      if (problem === undefined && times !== undefined) await file.utimes(times.accessed, times.modified);
    } catch (e) {
      problem = fileFaultText(path, e);
    }
    if (problem === undefined) await stream.acknowledge();
    else await stream.complain(problem);
  } finally {
    await file.close();
  }
}

async function writeContents(
  stream: ScpStream,
  file: fs.FileHandle,
  path: string,
  size: number,
  progress: Progress = () => undefined,
): Promise<string | undefined> {
  let problem: string | undefined;
  let done = 0;
  progress(path, size, 0);
  for await (const piece of stream.bytes(size)) {
    problem ??= await file.writeFile(piece).then(
      () => undefined,
      (e: unknown) => fileFaultText(path, e),
    );
    done += piece.length;
    progress(path, size, done);
  }
  return problem;
}

/** Also false for a path that cannot be examined: creating it will report the reason. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await fs.stat(path)).isDirectory();
  } catch {
    return false;
  }
}
