import { z } from 'zod';
import { instant } from '../base/time.ts';
import { auth, count, row, text, texts } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';

const node = ['Node'] as const;

/** What is known of a recording: `recording_head` is the hash of its last chunk, to which the chain leads. */
const whole = row({
  recording_head: text,
  recording_chunks: count,
  recording_bytes: count,
  /** Output that was shown and is not in the recording. */
  recording_lost_bytes: count,
});

/**
 * The audit events of the ends of sessions and of their recordings: a part of `audit-catalogue.ts`, which has
 * the rules for all of them. `sid` is the session; `user` is who did it, `session_user` whose session it is.
 */
export const recordingEvents = {
  sessionEnd: auditKind(
    'session.end',
    'T2004I',
    node,
    row({
      interactive: z.boolean(),
      enhanced_recording: z.boolean(),
      participants: texts,
      session_start: instant,
      session_stop: instant,
      /** How sessions are recorded; absent for one without a terminal, which is told by its events. */
      session_recording: text.optional(),
      ...whole.partial().shape,
    }),
  ),
  /** All of it is where recordings are kept. */
  sessionUpload: auditKind(
    'session.upload',
    'T2005I',
    node,
    row({ sid: text, url: text, recording_head: text, recording_chunks: count }),
  ),
  /** A session did not begin, or was ended, since it could not be recorded. */
  recordingFailed: auditKind('session.recording.failed', 'TR001E', node, row({ reason: text })),
  /** It went on, and this much of its output is not in the recording. */
  recordingGap: auditKind('session.recording.gap', 'TR002W', node, row({ bytes: count })),
  /** Somebody was given what is needed to play it. */
  recordingAccess: auditKind(
    'session.recording.access',
    'T2012I',
    auth,
    row({ sid: text, user: text, session_user: text }),
  ),
  /** Its key was destroyed. */
  recordingErase: auditKind(
    'session.recording.erase',
    'TR003W',
    auth,
    row({ sid: text, user: text, session_user: text, reason: text }),
  ),
} as const;
