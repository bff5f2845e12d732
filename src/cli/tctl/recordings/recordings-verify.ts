import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { searchAudit } from '../../../api/operations/audit.ts';
import type { AuthClient } from '../../../api/client.ts';
import { hour, plusMs } from '../../../base/time.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import {
  type ChainEnd,
  after,
  isSessionId,
  noChunks,
  openChunk,
  type Chunk,
} from '../../../recording/chunk.ts';
import { decodeFrames, type SessionAbout } from '../../../recording/frame.ts';
import { openRecordingFile } from '../../../recording/recording-file.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { aboutIn, fetchRecording } from '../../recordings/fetch-recording.ts';
import { withAuth } from '../connect.ts';

const pieceBytes = 4 * 1024 * 1024;

/** What was found of one recording, all of which is good. */
interface Walked {
  readonly sid: string;
  readonly user: string;
  readonly startedAt: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly lostBytes: number;
  readonly head: string;
  readonly isOver: boolean;
}

interface Verified extends Walked {
  /** The audit, or whoever asks, has this head, too. */
  readonly isTold: boolean;
}

/**
 * `tctl recordings verify`: the chain, the seal of each chunk, and what is in it.
 * @throws CodedError `damaged`, with the first bad chunk.
 */
export async function verifyRecorded(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const named = invocation.arg('session-id or file') ?? '';
  const told = invocation.text('head');
  const verified = existsSync(named)
    ? await verifyFile(named, told)
    : await verifyStored(named, told, invocation, io, ask);
  if (invocation.text('format') === 'json') io.stdout.write(`${JSON.stringify(verified)}\n`);
  else io.stdout.write(verifiedText(verified));
  return 0;
}

function verifiedText({ sid, chunks, bytes, lostBytes, head, isOver, isTold }: Verified): string {
  const lines = [
    `session ${sid}: ${chunks} chunks, ${bytes} bytes of output, ${lostBytes} bytes declared as lost`,
    `head ${head}${isTold ? ', as the audit says' : ''}`,
    isOver ? 'ok, to its end' : 'ok, as far as it goes: the end of the session is not in it',
  ];
  return `${lines.join('\n')}\n`;
}

async function verifyFile(path: string, told: string | undefined): Promise<Verified> {
  await using opened = await openRecordingFile(path);
  const { about, key } = opened.preamble;
  if (key === undefined)
    throw new CodedError('bad_request', `${path} is sealed: the key of its session is not in it`);
  async function* all(): AsyncGenerator<readonly Chunk[]> {
    for (let read = await opened.next(pieceBytes); read.length > 0; read = await opened.next(pieceBytes))
      yield read;
  }
  const verified = compared(await walk(about.sid, all(), Buffer.from(key, 'base64')), told);
  const left = (await stat(path)).size - opened.at;
  if (left === 0) return verified;
  throw new CodedError(
    'damaged',
    `${path}: ${left} bytes after chunk ${verified.chunks - 1} do not continue it`,
  );
}

async function verifyStored(
  sid: string,
  told: string | undefined,
  invocation: Invocation,
  io: CliIo,
  ask: typeof withAuth,
): Promise<Verified> {
  if (!isSessionId(sid))
    throw new CodedError(
      'bad_request',
      `'${sid.slice(0, 64)}' is not a valid session ID (must be GUID), and no such file`,
    );
  return ask(invocation, io, async (auth) => {
    const { key, chunks } = await fetchRecording(auth, sid);
    const walked = await walk(sid, chunks(), key);
    return compared(walked, told ?? (await headInAudit(auth, walked, io)));
  });
}

const skewMs = hour;

/** Undefined where the session has not ended, or the caller may not see the audit. */
async function headInAudit(auth: AuthClient, walked: Walked, io: CliIo): Promise<string | undefined> {
  const from = plusMs(walked.startedAt, -skewMs);
  const ends = { from, to: io.world.now(), types: ['session.end'], user: walked.user, limit: 10_000 };
  try {
    const { events } = await auth.call(searchAudit, ends);
    const head = events.find((one) => one.sid === walked.sid)?.['recording_head'];
    return typeof head === 'string' ? head : undefined;
  } catch (e) {
    if (!isCoded(e, 'access_denied')) throw e;
    io.stderr.write(`not compared with the audit: ${e.message}\n`);
    return undefined;
  }
}

async function walk(sid: string, all: AsyncIterable<readonly Chunk[]>, key: Uint8Array): Promise<Walked> {
  let end: ChainEnd = noChunks;
  let [bytes, lostBytes] = [0, 0];
  let about: SessionAbout | undefined;
  for await (const chunks of all)
    for (const chunk of chunks) {
      about ??= aboutIn(chunk, key);
      const { output, lost } = contents(chunk, key);
      if (output !== chunk.head.outputBytes || bytes !== chunk.head.outputBefore)
        throw new CodedError(
          'damaged',
          `chunk ${chunk.head.number} of ${sid} has not the output that it says`,
        );
      bytes += output;
      lostBytes += lost;
      end = after(chunk);
    }
  if (about === undefined) throw new CodedError('not_found', `nothing of session ${sid} is recorded yet`);
  const { user, startedAt } = about;
  const head = end.hash.toString('hex');
  return { sid, user, startedAt, chunks: end.next, bytes, lostBytes, head, isOver: end.isOver };
}

/** @throws CodedError `damaged`. */
function compared(walked: Walked, told: string | undefined): Verified {
  const { sid, head } = walked;
  if (told !== undefined && told !== head)
    throw new CodedError('damaged', `the chain of ${sid} leads to ${head}, and the last chunk was ${told}`);
  return { ...walked, isTold: told !== undefined };
}

function contents(chunk: Chunk, key: Uint8Array): { readonly output: number; readonly lost: number } {
  let [output, lost] = [0, 0];
  for (const frame of decodeFrames(openChunk(chunk, key)))
    if (frame.type === 'output') output += frame.bytes.length;
    else if (frame.type === 'gap') lost += frame.gap.bytes;
  return { output, lost };
}
