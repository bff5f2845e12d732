import { chmod, lstat, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, messageOf } from '../../base/errors.ts';
import type { ScpPeer } from './scp-peer.ts';
import { type Asked, readAsked } from './scp-asked.ts';
import { type ScpRecord, parseRecord } from './scp-record.ts';
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

type Named = Exclude<ScpRecord, { kind: 'end' }>;
/** Where something goes; `first` of its folder. @throws CodedError when it may not come. */
type Place = (record: Named, first: boolean) => Promise<string>;

/**
 * Takes what an `scp -f` sends. Only what was asked for is taken: other names, folders without `recursive`, and names
 * that lead elsewhere end the copy.
 */
export async function receiveAll(peer: ScpPeer, receiving: Receiving): Promise<void> {
  const asked = readAsked(receiving.asked);
  const into = (await isDirectory(receiving.target)) ? receiving.target : undefined;
  await peer.acknowledge();
  await receiveLevel(peer, receiving, async (record, first) => {
    checkAsked(asked, record, first);
    if (into === undefined) {
      if (first) return receiving.target;
      throw new CodedError('bad_request', `${receiving.target} is not a folder, but several files came`);
    }
    const path = join(into, record.name);
    if (asked.kind === 'home' && (await exists(path)))
      throw new CodedError(
        'access_denied',
        `the other side calls what was asked for ${JSON.stringify(record.name)}, which is there already: ` +
          'name a folder that does not exist as the destination',
      );
    return path;
  });
}

function checkAsked(asked: Asked, record: Named, first: boolean): void {
  const fits =
    asked.kind === 'names'
      ? asked.fits(record.name)
      : first && record.kind === 'directory' && !record.name.startsWith('.');
  if (!fits)
    throw new CodedError(
      'access_denied',
      `the other side sent ${JSON.stringify(record.name)}, which was not asked for`,
    );
}

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
    const path = await place(record, first);
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
  await receiveLevel(peer, receiving, ({ name }) => Promise.resolve(join(path, name)), true);
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

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false; // to be made
  }
}
