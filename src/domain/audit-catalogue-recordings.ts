import { z } from 'zod';
import { instant } from '../base/time.ts';
import { auth, count, row, text, texts } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';
import { joinModes } from './role-joining.ts';

const node = ['Node'] as const;

/** What is known of a recording: `recording_head` is the hash of its last chunk, to which the chain leads. */
const whole = row({
  recording_head: text,
  recording_chunks: count,
  recording_bytes: count,
  /** Output that was shown and is not in the recording. */
  recording_lost_bytes: count,
});

/** `session_user` and `session_login` are whose session it is. */
const part = row({ mode: z.enum(joinModes), session_user: text, session_login: text });

/**
 * The audit events of the ends of sessions and of their recordings: a part of `audit-catalogue.ts`, which has
 * the rules for all of them. `sid` is the session; `user` is who did it, `session_user` whose session it is.
 */
export const recordingEvents = {
  /** Somebody takes part in the session of another person: 4.4 has the event, what it says is ours. */
  sessionJoin: auditKind('session.join', 'T2001I', node, part),
  /** Somebody wanted to, and was refused. `session` is what they asked for, as they wrote it. */
  sessionJoinFailure: auditKind(
    'session.join',
    'T2001W',
    node,
    row({ success: z.literal(false), error: text, session: text, mode: text }),
  ),
  sessionLeave: auditKind('session.leave', 'T2003I', node, part),
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
