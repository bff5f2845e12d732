import { isCoded, messageOf } from '../base/errors.ts';
import { isSystemError } from './launch-failure.ts';
import type { ServerSessionChannel } from '../ssh/channel-types.ts';
import type { SessionAudit } from './session-audit.ts';
import type { SessionContext } from './session-context.ts';

export interface SideMatters {
  /** What `make` gives; when it fails, `otherwise`, and the person is told why. */
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
 * What a session can be without: trouble with it is told on its stderr and to the log, and the session goes
 * on.
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
    // A terminal of the client is raw by now: it goes to the start of a line only when it is told to.
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
