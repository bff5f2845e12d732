import { may } from '../../api/guard.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { RuleVerb } from '../../domain/rule-subjects.ts';
import type { AuthDeps } from '../deps.ts';
import type { RecordedSession } from './session-keys.ts';

const notFound = (sid: string): CodedError =>
  new CodedError('not_found', `there is no recording of session ${sid}, or it was erased`);

/**
 * A recorded session that the caller may see: one's own, and what rules allow.
 * @throws CodedError `not_found`, also for one that the caller may not see.
 */
export async function seenRecording(
  { recordings }: Pick<AuthDeps, 'recordings'>,
  call: Call,
  verb: RuleVerb,
  sid: string,
): Promise<RecordedSession> {
  const session = await recordings.keys.find(sid);
  if (session === undefined) throw notFound(sid);
  const isAllowed = may(call, verb, { kind: 'session', name: sid, participants: [session.user] });
  if (!isAllowed) throw notFound(sid);
  return session;
}
