import { chmod, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, messageOf } from '../../base/errors.ts';
import type { ScpPeer } from './scp-peer.ts';
import { nameFits, parseRecord } from './scp-record.ts';
import type { Progress } from './scp-send.ts';

const maxLine = 8_192;

export interface Receiving {
  /** What was asked for on the other side: its last part may be a pattern. */
  readonly asked: string;
  /** A folder to put things in, or the name of the one file (with `recursive`: folder) that comes. */
  readonly target: string;
  readonly recursive: boolean;
  readonly progress: Progress;
}

/**
 * Takes what an `scp -f` sends. Only what was asked for is taken: other names, folders without `recursive`, and names
 * that lead elsewhere end the copy.
 */
export async function receiveAll(peer: ScpPeer, receiving: Receiving): Promise<void> {
  const into = (await isDirectory(receiving.target)) ? receiving.target : undefined;
  await peer.acknowledge();
  await receiveLevel(peer, receiving, (name, first) => {
    if (!nameFits(receiving.asked, name))
      throw new CodedError(
        'access_denied',
        `the other side sent ${JSON.stringify(name)}, which was not asked for`,
      );
    if (into !== undefined) return join(into, name);
    if (!first)
      throw new CodedError('bad_request', `${receiving.target} is not a folder, but several files came`);
    return receiving.target;
  });
}

type Place = (name: string, first: boolean) => string;

/** Reads records until the end of this folder (or of all, at the top). */
async function receiveLevel(
  peer: ScpPeer,
  receiving: Receiving,
  place: Place,
  inside = false,
): Promise<void> {
  let first = true;
  for (;;) {
    const kind = await peer.reader.byte();
    if (kind === undefined) {
      if (inside) throw new CodedError('unavailable', 'the other side ended the copy inside a folder');
      return;
    }
    if (kind === 1 || kind === 2) {
      await peer.complaint(kind);
      continue;
    }
    const record = parseRecord(String.fromCharCode(kind) + (await peer.reader.line(maxLine)));
    if (record.kind === 'end') {
      if (!inside) throw new CodedError('unavailable', 'the other side ended a folder that it did not begin');
      await peer.acknowledge();
      return;
    }
    const path = place(record.name, first);
    first = false;
    if (record.kind === 'file') await receiveFile(peer, path, record, receiving.progress);
    else await receiveDirectory(peer, path, record.mode, receiving);
  }
}

const ownerMay = 0o700;

async function receiveDirectory(
  peer: ScpPeer,
  path: string,
  mode: number,
  receiving: Receiving,
): Promise<void> {
  if (!receiving.recursive)
    throw new CodedError('access_denied', `the other side sent a folder, which was not asked for (use -r)`);
  const there = await isDirectory(path);
  if (!there) await mkdir(path, { mode: mode | ownerMay });
  await peer.acknowledge();
  await receiveLevel(peer, receiving, (name) => join(path, name), true);
  if (!there) await chmod(path, mode);
}

/** A file that cannot be written is said and skipped: its bytes are read all the same, for what comes after them. */
async function receiveFile(
  peer: ScpPeer,
  path: string,
  { size, mode }: { readonly size: number; readonly mode: number },
  progress: Progress,
): Promise<void> {
  const handle = await open(path, 'w', mode | 0o600).catch((e: unknown) => messageOf(e));
  if (typeof handle === 'string') {
    await peer.complain(handle); // instead of "go on": the sender skips it
    return;
  }
  let problem: string | undefined;
  try {
    await peer.acknowledge();
    progress(path, size, 0);
    let done = 0;
    for await (const piece of peer.reader.exactly(size)) {
      problem ??= await handle.writeFile(piece).then(() => undefined, messageOf);
      done += piece.length;
      progress(path, size, done);
    }
    problem ??= await handle.chmod(mode).then(() => undefined, messageOf);
  } finally {
    await handle.close();
  }
  await peer.acknowledged();
  if (problem === undefined) await peer.acknowledge();
  else await peer.complain(`${path}: ${problem}`);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false; // to be made
  }
}
