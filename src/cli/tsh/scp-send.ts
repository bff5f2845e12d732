import { createReadStream } from 'node:fs';
import { lstat, open, readdir, realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import type { ScpPeer } from './scp-peer.ts';
import { directoryRecord, fileRecord } from './scp-record.ts';

/** Hears of each file: `done` of `size` bytes. Called at the beginning, as it goes on, and at the end. */
export type Progress = (path: string, size: number, done: number) => void;

const pieceBytes = 256 * 1024;

/**
 * Sends files, and folders when `recursive`, to a waiting `scp -t`. What cannot be sent is told to the other side,
 * remembered in `peer.warnings`, and the rest goes on.
 */
export async function sendAll(
  peer: ScpPeer,
  paths: readonly string[],
  recursive: boolean,
  progress: Progress,
): Promise<void> {
  if (!(await peer.acknowledged())) return;
  for (const path of paths) await sendPath(peer, path, { recursive, progress, above: [] });
}

interface Sending {
  readonly recursive: boolean;
  readonly progress: Progress;
  /** Real paths of the folders this one is in: a link back to one of them would never end. */
  readonly above: readonly string[];
}

async function sendPath(peer: ScpPeer, path: string, sending: Sending): Promise<void> {
  const name = basename(resolve(path));
  if (name === '' || name.includes('\n')) return peer.complain(`${path}: this name cannot be sent`);
  try {
    const real = await realpath(path);
    const info = await lstat(real);
    if (info.isFile()) await sendFile(peer, path, name, sending);
    else if (!info.isDirectory()) await peer.complain(`${path}: not a regular file`);
    else if (!sending.recursive) await peer.complain(`${path}: not a regular file (a directory: use -r)`);
    else if (sending.above.includes(real)) await peer.complain(`${path}: a link to a folder it is in`);
    else
      await sendDirectory(peer, path, directoryRecord(info.mode, name), {
        ...sending,
        above: [...sending.above, real],
      });
  } catch (e) {
    if (!isFileFault(e)) throw e;
    await peer.complain(`${path}: ${messageOf(e)}`);
  }
}

/** A fault of the file system, which spares the rest; a broken connection does not. */
const isFileFault = (e: unknown): boolean => e instanceof Error && 'syscall' in e && 'path' in e;

async function sendDirectory(peer: ScpPeer, path: string, record: string, sending: Sending): Promise<void> {
  const names = (await readdir(path)).sort();
  await peer.write(record);
  if (!(await peer.acknowledged())) return;
  for (const name of names) await sendPath(peer, join(path, name), sending);
  await peer.write('E\n');
  await peer.acknowledged();
}

async function sendFile(peer: ScpPeer, path: string, name: string, { progress }: Sending): Promise<void> {
  const handle = await open(path, 'r');
  try {
    const { size, mode } = await handle.stat();
    await peer.write(fileRecord(mode, size, name));
    if (!(await peer.acknowledged())) return;
    progress(path, size, 0);
    const problem = await sendBytes(peer, handle.fd, size, (done) => {
      progress(path, size, done);
    });
    if (problem === undefined) await peer.acknowledge();
    else await peer.complain(`${path}: ${problem}`);
    await peer.acknowledged();
  } finally {
    await handle.close();
  }
}

/** Sends exactly `size` bytes, as promised: what a file that shrank or broke lacks is made up with zeros, and said. */
async function sendBytes(
  peer: ScpPeer,
  fd: number,
  size: number,
  progress: (done: number) => void,
): Promise<string | undefined> {
  if (size === 0) return undefined;
  let done = 0;
  let problem: string | undefined;
  const bytes = createReadStream('', {
    fd,
    autoClose: false,
    start: 0,
    end: size - 1,
    highWaterMark: pieceBytes,
  });
  try {
    for await (const piece of bytes as AsyncIterable<Buffer>) {
      await peer.write(piece);
      done += piece.length;
      progress(done);
    }
  } catch (e) {
    if (!(e instanceof Error && 'syscall' in e && e.syscall === 'read')) throw e;
    problem = messageOf(e);
  }
  if (done < size) problem ??= 'the file became shorter while it was sent';
  for (; done < size; done += pieceBytes) await peer.write(Buffer.alloc(Math.min(pieceBytes, size - done)));
  return problem;
}
