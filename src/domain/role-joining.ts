import { z } from 'zod';
import { CodedError, messageOf } from '../base/errors.ts';
import { labelPattern } from './label-pattern.ts';

/**
 * How somebody takes part in the session of another person: an `observer` sees it, a `peer` types as well, a
 * `moderator` sees it and may end it. Source: Teleport from release 9 on.
 */
export const joinModes = ['observer', 'peer', 'moderator'] as const;
export type JoinMode = (typeof joinModes)[number];

const joinRule = z.strictObject({
  /** For people. */
  name: z.string().max(256),
  /** Whose sessions: names of roles, or patterns of them, of which their owner has one. */
  roles: z.array(z.string().max(256)).max(200),
  modes: z.array(z.enum(joinModes)).max(joinModes.length),
});
export type JoinRule = z.infer<typeof joinRule>;
const joinRules = z.array(joinRule).max(200);

/** Which sessions of other people the holders of a role may join. Beside what servers decide logins by. */
export const roleJoining = z.strictObject({ allow: joinRules.default([]), deny: joinRules.default([]) });
export type RoleJoining = z.infer<typeof roleJoining>;

export const noJoining: RoleJoining = { allow: [], deny: [] };

/** In place of what this release cannot read: it might deny. */
export const nothingToJoin: RoleJoining = {
  allow: [],
  deny: [{ name: 'not to be read', roles: ['*'], modes: [...joinModes] }],
};

/** @throws CodedError `bad_request` that names the place (`allow.join_sessions[0].roles`). */
export function checkRoleJoining(joining: RoleJoining): void {
  for (const side of ['allow', 'deny'] as const)
    for (const [i, { roles, modes }] of joining[side].entries()) {
      const place = `${side}.join_sessions[${i}]`;
      if (roles.length === 0) throw bad(`${place}.roles`, 'it has no role, so it would never count');
      if (modes.length === 0) throw bad(`${place}.modes`, `it has none of ${joinModes.join(', ')}`);
      for (const pattern of roles) checkPattern(`${place}.roles`, pattern);
    }
}

function checkPattern(place: string, pattern: string): void {
  if (pattern === '') throw bad(place, 'an empty text is not a pattern');
  try {
    labelPattern(pattern);
  } catch (e) {
    throw new CodedError('bad_request', `${place}: ${messageOf(e)}`, { cause: e });
  }
}

const bad = (place: string, why: string): CodedError => new CodedError('bad_request', `${place}: ${why}`);
