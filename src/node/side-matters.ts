import { isCoded, messageOf } from '../base/errors.ts';
import { isSystemError } from './launch-failure.ts';
import type { ServerSessionChannel } from '../ssh/channel-types.ts';
import type { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';

export interface SideMatters {
  /** The result of `make`; when it fails, `otherwise`, and the person is told why. */
  <T>(what: string, otherwise: T, make: () => Promise<T>): Promise<T>;
  tell(what: string, reason: string): void;
}

interface SessionParts {
  readonly channel: Pick<ServerSessionChannel, 'stderr'>;
  /** Undefined without one. */
  readonly terminal: object | undefined;
  readonly audit: Pick<SessionAudit, 'sessionId'>;
}

/**
 * Things a session can do without: a failure is reported on its stderr and in the log, and the session
 * continues.
 */
export function sideMatters(
  { sink, subject }: SessionContext,
  { channel, terminal, audit }: SessionParts,
): SideMatters {
  const tell = (what: string, reason: string): void => {
    const { username: user, login } = subject;
    sink.warn(`a session goes on without a part of it: ${what}`, {
      user,
      login,
      session: audit.sessionId,
      reason,
    });
    // The client's terminal is in raw mode by now, so each line must begin with a carriage return.
    channel.stderr.write(`${what}: ${reason}${terminal === undefined ? '' : '\r'}\n`);
  };
  const orElse = async <T>(what: string, otherwise: T, make: () => Promise<T>): Promise<T> => {
    try {
      return await make();
    } catch (e) {
      const isBug = !isCoded(e) && !isSystemError(e);
      if (isBug) sink.error('a bug in the start of a session', { what, stack: (e as Error).stack });
      tell(what, isBug ? 'an internal error, which the log of the server has' : messageOf(e));
      return otherwise;
    }
  };
  return Object.assign(orElse, { tell });
}
