import { eraseRecording as row } from '../../api/operations/recording.ts';
import { actorOf } from '../../api/guard.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { seenRecording } from './seen-recording.ts';

/** Destroys the key of a recording. The audit has it before it is done: it cannot be taken back. */
export const eraseRecording = implementing(row, async (deps, call, { sid, reason }) => {
  const { user } = await seenRecording(deps, call, row.verb, sid);
  call.deadline.begin();
  await deps.ownAudit.record(
    catalogue.recordingErase({ sid, user: actorOf(call.caller), session_user: user, reason }),
    causeOf(deps, call),
  );
  await deps.recordings.keys.erase(sid);
  return { status: 'erased' as const };
});
