import { listRecordings, type ListedRecording } from '../../../api/operations/recording.ts';
import type { AuthClient } from '../../../api/client.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import { plusMs } from '../../../base/time.ts';
import { openChunk } from '../../../recording/chunk.ts';
import { decodeFrames } from '../../../recording/frame.ts';
import { type FoundText, TextFinder } from '../../../recording/playing/find-text.ts';
import { printableLine } from '../../../base/printable.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { fetchRecording } from '../../recordings/fetch-recording.ts';
import { recordingQuery, truncatedText } from '../../recordings/recording-list.ts';
import { wholeSeconds } from '../../whole-seconds.ts';
import { written } from '../../written.ts';
import { withAuth } from '../connect.ts';

/**
 * `tctl recordings search`: prints lines as they are found, session by session; holds one piece of one
 * recording at a time. Status 1 when there are none, as with grep(1).
 */
export async function searchRecorded(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const wanted = invocation.arg('text') ?? '';
  if (wanted === '') throw new CodedError('bad_request', 'which text is looked for must not be empty');
  const query = recordingQuery(invocation, io);
  const print = invocation.text('format') === 'json' ? jsonLine : textLine;
  return ask(invocation, io, async (auth) => {
    const { recordings, truncated } = await auth.call(listRecordings, query);
    let found = 0;
    for (const recording of recordings) {
      if (recording.status === 'erased') continue;
      for await (const one of linesIn(auth, recording, wanted, io)) {
        found++;
        await written(io.stdout, print(recording, one));
      }
    }
    if (truncated) io.stderr.write(truncatedText(recordings.length));
    return found > 0 ? 0 : 1;
  });
}

/** One that cannot be read hinders no other: it is named on standard error. */
async function* linesIn(
  auth: AuthClient,
  { sid, status }: ListedRecording,
  wanted: string,
  io: CliIo,
): AsyncGenerator<FoundText> {
  try {
    const { key, chunks } = await fetchRecording(auth, sid);
    const finder = new TextFinder(wanted);
    for await (const read of chunks())
      for (const chunk of read)
        for (const frame of decodeFrames(openChunk(chunk, key))) yield* finder.feed(frame);
  } catch (e) {
    // A session that goes on may not be recorded, or nothing of it has come yet.
    if (isCoded(e, 'not_found') && status === 'live') return;
    if (!isCoded(e, 'damaged') && !isCoded(e, 'not_found')) throw e;
    io.stderr.write(`WARNING: session ${sid} was not searched to its end: ${e.message}\n`);
  }
}

const textLine = ({ sid, user, hostname, startedAt }: ListedRecording, { atMs, line }: FoundText): string =>
  `${sid} ${wholeSeconds(plusMs(startedAt, atMs))} ${user}@${hostname}: ${printableLine(line.trim())}\n`;

const jsonLine = ({ sid, user, hostname, startedAt }: ListedRecording, { atMs, line }: FoundText): string =>
  `${JSON.stringify({ sid, user, hostname, time: plusMs(startedAt, atMs), ms: atMs, line })}\n`;
