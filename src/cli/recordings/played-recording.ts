import { randomBytes } from 'node:crypto';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthClient } from '../../api/client.ts';
import { pause } from '../../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { PlayedChunks } from '../../recording/playing/played-chunks.ts';
import { type OpenedRecording, openRecordingFile } from '../../recording/recording-file.ts';
import { type FetchedRecording, fetchRecording } from './fetch-recording.ts';

/** How often a session that has not ended is asked for more. */
const followEveryMs = 1_000;
/** Of a file, read at once. */
const pieceBytes = 4 * 1024 * 1024;

/** A recording whose chunks come while it is played. Close it. */
export interface PlayedRecording extends AsyncDisposable {
  readonly chunks: PlayedChunks;
}

/**
 * A file that only this process has: it has no name any more, so that nothing is left however we end.
 * What it holds is sealed; the key is not in it.
 */
async function namelessFile(env: Readonly<Record<string, string | undefined>>): Promise<FileHandle> {
  const path = join(env['TMPDIR'] ?? tmpdir(), `tsh-play-${randomBytes(8).toString('hex')}`);
  try {
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  } catch (cause) {
    throw new CodedError('unavailable', `no file can be made for what is played: ${messageOf(cause)}`, {
      cause,
    });
  }
}

const coded = (e: unknown): CodedError =>
  isCoded(e) ? e : new CodedError('unavailable', messageOf(e), { cause: e });

/**
 * The recording of a session, loaded while it is played.
 * @param follows a session that has not ended: what comes is loaded, too, until it has.
 * @throws CodedError `not_found`, `unavailable`.
 */
export async function playSession(
  auth: AuthClient,
  sid: string,
  options: { readonly follows: boolean; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<PlayedRecording> {
  const fetched = await fetchRecording(auth, sid);
  const file = await namelessFile(options.env);
  const chunks = new PlayedChunks(file, { sid, key: fetched.key });
  const stopping = new AbortController();
  const loading = load(fetched, chunks, options.follows, stopping.signal).then(
    () => {
      chunks.finish();
    },
    (e: unknown) => {
      chunks.finish(coded(e));
    },
  );
  // What is asked of auth is not waited for: it may hang. It ends with the connection, which is not ours.
  void loading;
  return closing(chunks, stopping, Promise.resolve());
}

function closing(chunks: PlayedChunks, stopping: AbortController, stopped: Promise<void>): PlayedRecording {
  return {
    chunks,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await stopped;
      await chunks[Symbol.asyncDispose]();
    },
  };
}

async function load(
  fetched: FetchedRecording,
  chunks: PlayedChunks,
  follows: boolean,
  signal: AbortSignal,
): Promise<void> {
  for await (const read of fetched.chunks()) {
    if (signal.aborted) return;
    await chunks.append(read);
  }
  chunks.caughtUp();
  while (follows && !chunks.end.isOver && !signal.aborted) {
    const read = await fetched.more();
    if (read.length > 0) await chunks.append(read);
    else await pause(followEveryMs, signal);
  }
}

/**
 * The recording in a file, as `tctl recordings export` writes it.
 * @throws CodedError `not_found`, `damaged` for another file, `bad_request` for one without its key.
 */
export async function playFile(path: string): Promise<PlayedRecording> {
  const opened = await openRecordingFile(path);
  try {
    const { about, key } = opened.preamble;
    if (key === undefined)
      throw new CodedError('bad_request', `${path} is sealed: the key of its session is not in it`);
    const chunks = new PlayedChunks(await open(path, 'r'), {
      sid: about.sid,
      key: Buffer.from(key, 'base64'),
    });
    const stopping = new AbortController();
    const loading = readAll(opened, chunks, stopping.signal);
    return closing(chunks, stopping, loading);
  } catch (e) {
    await opened[Symbol.asyncDispose]();
    throw e;
  }
}

async function readAll(opened: OpenedRecording, chunks: PlayedChunks, signal: AbortSignal): Promise<void> {
  try {
    while (!signal.aborted) {
      const { at } = opened;
      const read = await opened.next(pieceBytes);
      if (read.length === 0) break;
      chunks.add(read, at);
    }
    chunks.finish();
  } catch (e) {
    chunks.finish(coded(e));
  } finally {
    await opened[Symbol.asyncDispose]();
  }
}
