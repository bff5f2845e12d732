import { eraseRecording, listRecordings } from '../../../api/operations/recording.ts';
import { CodedError } from '../../../base/errors.ts';
import { isSessionId } from '../../../recording/chunk.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { confirm } from '../../confirm.ts';
import {
  recordingLines,
  recordingQuery,
  recordingTable,
  truncatedText,
} from '../../recordings/recording-list.ts';
import { withAuth } from '../connect.ts';

/** @throws CodedError `bad_request`. */
export function sessionIn(invocation: Invocation): string {
  const sid = invocation.arg('session-id') ?? '';
  if (isSessionId(sid)) return sid;
  throw new CodedError('bad_request', `'${sid.slice(0, 64)}' is not a valid session ID (must be GUID)`);
}

/** `tctl recordings ls` */
export async function listRecorded(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const query = recordingQuery(invocation, io);
  const { recordings, truncated } = await ask(invocation, io, (auth) => auth.call(listRecordings, query));
  const isJson = invocation.text('format') === 'json';
  io.stdout.write(isJson ? recordingLines(recordings) : recordingTable(recordings));
  if (truncated) io.stderr.write(truncatedText(recordings.length));
  return 0;
}

/** `tctl recordings erase` */
export async function eraseRecorded(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const sid = sessionIn(invocation);
  const reason = invocation.text('reason') ?? '';
  const question = `Destroy the key of the recording of session ${sid}? Nobody will ever play it.`;
  await confirm(io, question, invocation.on('yes'));
  await ask(invocation, io, (auth) => auth.call(eraseRecording, { sid, reason }));
  io.stdout.write(`The recording of session ${sid} was erased.\n`);
  return 0;
}
