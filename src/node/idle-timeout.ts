import { second } from '../base/time.ts';
import { Deadline } from './connection-limits.ts';

export interface Idling {
  /** 0: no limit. Source: role option `client_idle_timeout`, the shortest of a person's roles. */
  readonly timeoutSeconds: number;
  /** When the person last typed or sent something, by `performance.now()`. */
  readonly lastActivity: () => number;
  readonly disconnect: (reason: string) => void;
}

/**
 * Ends the connection of a person who does nothing for too long; undefined without a limit. The caller
 * cancels it.
 */
export function idleTimeout({ timeoutSeconds, lastActivity, disconnect }: Idling): Deadline | undefined {
  if (timeoutSeconds <= 0) return undefined;
  return new Deadline(timeoutSeconds * second, lastActivity, () => {
    const quiet = Math.round((performance.now() - lastActivity()) / second);
    disconnect(`client is idle for ${quiet}s, exceeded idle timeout of ${timeoutSeconds}s`);
  });
}
