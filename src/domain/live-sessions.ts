import { z } from 'zod';
import { isCleanText } from '../base/clean-text.ts';
import { instant } from '../base/time.ts';
import { joinModes } from './role-joining.ts';
import { utf8Bytes } from './label-limits.ts';

export const mostGuestsTold = 8;
const line = (longest: number): z.ZodString => z.string().max(longest).refine(isCleanText, 'one clean line');

/** A session with a terminal that runs now, as its node tells it. */
export const liveSession = z.object({
  /** As in the audit. */
  sid: z.uuid(),
  user: line(255),
  login: line(255),
  /** IP address of the person's machine. */
  from: line(64),
  startedAt: instant,
  /** Since then nothing went either way; absent where that is for less than `idleAfterMs`. */
  idleSince: instant.optional(),
  /** Who takes part besides the owner, and how; absent where nobody does. Of many, the first. */
  guests: z
    .array(z.object({ user: line(255), mode: z.enum(joinModes) }))
    .max(mostGuestsTold)
    .optional(),
});
export type LiveSession = z.infer<typeof liveSession>;

/** So much of them fits into one heartbeat: about a hundred. */
export const mostLiveBytes = 24 * 1024;

/** Those of one node, the newest first, and how many are not named because they are too many. */
export const liveSessions = z
  .object({ known: z.array(liveSession).max(256), more: z.number().int().positive().optional() })
  .refine((all) => utf8Bytes(JSON.stringify(all)) <= mostLiveBytes, 'too many sessions for one heartbeat');
export type LiveSessions = z.infer<typeof liveSessions>;

export const noLiveSessions: LiveSessions = { known: [] };

/** As many of them as fit into a heartbeat, the newest first; of equal age by id. */
export function reportOf(sessions: readonly LiveSession[]): LiveSessions {
  // One that auth would not take must not keep the rest from it, nor the node from being alive.
  const all = sessions
    .filter((one) => liveSession.safeParse(one).success)
    .toSorted((a, b) =>
      a.startedAt === b.startedAt ? (a.sid < b.sid ? -1 : 1) : a.startedAt < b.startedAt ? 1 : -1,
    );
  // Room for `more` and what is around them.
  let left = mostLiveBytes - 64;
  const known: LiveSession[] = [];
  for (const one of all.slice(0, 256)) {
    left -= utf8Bytes(JSON.stringify(one)) + 1;
    if (left < 0) break;
    known.push(one);
  }
  const more = all.length - known.length;
  return more === 0 ? { known } : { known, more };
}
