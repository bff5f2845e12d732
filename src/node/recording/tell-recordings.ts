import type { World } from '../../base/world.ts';
import { uuidOf } from '../../base/uuid-of.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { NodeAudit } from '../node-audit.ts';
import { orphanDetails } from './orphan-details.ts';
import type { RecordingUploadsOptions } from './recording-uploads.ts';

/** After all others of a session, but `session.data`. */
const lastButOne = 2_147_483_645;

/**
 * The events of recordings that are no part of a session that is served here. Each has the same `uid`
 * whenever it is told, so that a process that is killed in between tells nothing that counts twice.
 */
export const tellRecordings = (
  audit: Pick<NodeAudit, 'unnamed' | 'emit'>,
  world: Pick<World, 'now'>,
): RecordingUploadsOptions['tell'] => ({
  uploaded: async ({ sid, user, place, chunks, head }) => {
    const body = catalogue.sessionUpload({ sid, url: place, recording_head: head, recording_chunks: chunks });
    const uid = uuidOf(`session.upload ${sid} ${head}`);
    await audit.emit({ ...audit.unnamed(body), uid, user, sid, ei: lastButOne });
  },
  interrupted: async ({ about: { sid }, details }, { chunks, head, bytes }) => {
    const { user, login, requestId, startedAt, addresses } = orphanDetails.parse(details);
    const body = catalogue.sessionEnd({
      interactive: true,
      enhanced_recording: false,
      participants: [user],
      session_start: startedAt,
      session_stop: world.now(),
      session_recording: 'interrupted',
      ...{ recording_head: head, recording_chunks: chunks, recording_bytes: bytes },
    });
    const told = { user, login, request_id: requestId, proto: 'ssh', ...addresses, sid, ei: lastButOne };
    const event = { ...audit.unnamed(body), ...told, uid: uuidOf(`session.end ${sid}`) };
    await audit.emit(event);
  },
});
