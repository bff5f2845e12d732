import { readRecording as row } from '../../api/operations/recording.ts';
import { implementing } from '../implementing.ts';
import { seenRecording } from './seen-recording.ts';

/** Chunks of a recording, as they are stored. */
export const readRecording = implementing(row, async (deps, call, { sid, first }) => {
  await seenRecording(deps, call, row.verb, sid);
  const chunks = await deps.recordings.store.read(sid, first);
  return { chunks: Buffer.concat(chunks.map(({ bytes }) => bytes)).toString('base64') };
});
