import { open, rm } from 'node:fs/promises';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { encodePreamble } from '../../../recording/recording-file.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { aboutIn, type FetchedRecording, fetchRecording } from '../../recordings/fetch-recording.ts';
import { withAuth } from '../connect.ts';
import { sessionIn } from './recordings.ts';

interface Written {
  readonly chunks: number;
  readonly bytes: number;
}

/** `tctl recordings export`: whole, or no file. */
export async function exportRecorded(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const sid = sessionIn(invocation);
  const path = invocation.arg('file') ?? '';
  const { isOver, chunks, bytes } = await ask(invocation, io, async (auth) => {
    const fetched = await fetchRecording(auth, sid);
    return { isOver: fetched.isOver, ...(await writeFile(fetched, path)) };
  });
  io.stdout.write(
    `${chunks} chunks, ${bytes} bytes of output, in ${path}. Whoever has the file can play it.\n`,
  );
  if (!isOver)
    io.stderr.write('the recording has no end: its session goes on, or not all of it has come yet\n');
  return 0;
}

async function writeFile(fetched: FetchedRecording, path: string): Promise<Written> {
  const file = await open(path, 'wx', 0o600).catch((cause: unknown) => {
    throw new CodedError('bad_request', `cannot make the file ${path}: ${messageOf(cause)}`, { cause });
  });
  let [chunks, bytes] = [0, 0];
  try {
    for await (const read of fetched.chunks()) {
      if (chunks === 0) {
        const about = aboutIn(read[0], fetched.key);
        await file.appendFile(encodePreamble({ about, key: fetched.key.toString('base64') }));
      }
      await file.appendFile(Buffer.concat(read.map((one) => one.bytes)));
      chunks += read.length;
      bytes += read.reduce((sum, { head }) => sum + head.outputBytes, 0);
    }
    if (chunks === 0) throw new CodedError('not_found', 'nothing of it is stored yet');
    await file.sync();
  } catch (e) {
    await rm(path, { force: true });
    throw e;
  } finally {
    await file.close();
  }
  return { chunks, bytes };
}
