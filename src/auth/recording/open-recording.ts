import { openRecording as row } from '../../api/operations/recording.ts';
import { actorOf } from '../../api/guard.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { seenRecording } from './seen-recording.ts';
import { answerOf } from './upload-recording.ts';

/** What is needed to play a session. That somebody asked is in the audit before the key is given. */
export const openRecording = implementing(row, async (deps, call, { sid }) => {
  const { key, user } = await seenRecording(deps, call, row.verb, sid);
  const end = await deps.recordings.store.end(sid);
  call.deadline.begin();
  await deps.ownAudit.record(
    catalogue.recordingAccess({ sid, user: actorOf(call.caller), session_user: user }),
    causeOf(deps, call),
  );
  return { key: key.toString('base64'), ...answerOf(end) };
});
