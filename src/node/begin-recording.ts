import { CodedError, isCoded } from '../base/errors.ts';
import type { WindowSize } from '../ssh/channel-types.ts';
import { addressFields } from './node-audit.ts';
import type { SessionRecording } from './recording/session-recordings.ts';
import type { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';

export interface BeginningSession {
  /** It has the start of the session. */
  readonly audit: SessionAudit;
  readonly command: string;
  readonly term: string;
  readonly size: WindowSize;
}

/**
 * Begins to record a session with a terminal; undefined where that is not wanted.
 * @throws CodedError beginning with `Failed to launch:` when it cannot be recorded, and must not begin
 *   without; the audit has it then.
 */
export async function beginRecording(
  context: SessionContext,
  { audit, command, term, size: { columns, rows } }: BeginningSession,
): Promise<SessionRecording | undefined> {
  const { subject, hostId, nodename, clusterName } = context;
  const { username: user, login, requestId, peer } = subject;
  const { startedAt, sessionId: sid } = audit;
  try {
    return await context.recordings.begin({
      about: {
        ...{ sid, user, login, hostId, hostname: nodename, clusterName, startedAt, columns, rows, term },
        ...(command === '' ? {} : { command }),
      },
      details: { user, login, requestId, startedAt, addresses: addressFields(peer) },
      policy: subject.recordSession(),
      mayEnterOnFullDisk: subject.mayEnterOnFullDisk,
    });
  } catch (e) {
    if (!isCoded(e)) throw e;
    await audit.recordingFailed(e.message);
    throw new CodedError(
      'unavailable',
      `Failed to launch: the session cannot be recorded, and may not begin without: ${e.message}.`,
      { cause: e },
    );
  }
}
