import { openRecording as row } from '../../api/operations/recording.ts';
import { actorOf } from '../../api/guard.ts';
import { CodedError } from '../../base/errors.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { seenRecording } from './seen-recording.ts';
import { answerOf } from './upload-recording.ts';

/**
 * What is needed to play a session. That somebody asked is in the audit before the key is given.
 * @throws CodedError `unavailable` where another auth server has the bytes, on its own disk.
 */
export const openRecording = implementing(row, async (deps, call, { sid }) => {
  const { key, user } = await seenRecording(deps, call, row.verb, sid);
  const end = await deps.recordings.store.end(sid);
  if (end.next === 0)
    throw new CodedError(
      'unavailable',
      `nothing of the recording of session ${sid} is in ${deps.recordings.store.place(sid)}: it has just begun, or another auth server keeps it; give all of them one place (auth_service.audit_sessions_uri)`,
    );
  call.deadline.begin();
  await deps.ownAudit.record(
    catalogue.recordingAccess({ sid, user: actorOf(call.caller), session_user: user }),
    causeOf(deps, call),
  );
  return { key: key.toString('base64'), ...answerOf(end) };
});
