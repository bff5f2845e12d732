import { CodedError } from '../../base/errors.ts';
import { type Instant, plusMs } from '../../base/time.ts';
import type { Position } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';

/**
 * Of the last event of `state` at or before that time. @throws CodedError `bad_request` for one that has not
 * come yet.
 */
export function positionAt({ log, world }: Pick<AuthDeps, 'log' | 'world'>, at: Instant): Promise<Position> {
  if (at > world.now())
    throw new CodedError('bad_request', `${at} has not come yet: only earlier times can be asked for`);
  return log.state.positionBefore(plusMs(at, 1));
}
