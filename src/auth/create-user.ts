import type { z } from 'zod';
import type { createUser as operation } from '../api/operations.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError } from '../base/errors.ts';
import { second } from '../base/time.ts';
import { invite } from '../domain/invite.ts';
import { inviteStream, userStream } from '../domain/streams.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { user } from '../domain/user.ts';
import { step, transact } from '../log/execute.ts';
import { lookUpRoles } from '../views/roles.ts';
import { isSystemRole } from './callers.ts';
import { type AuthDeps, causeOf, termsOf } from './deps.ts';
import { checkFitsCertificate } from './issue-certificates.ts';
import { newInvite } from './new-invite.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/** The user and the link that sets its password, in one append: neither is without the other. */
export async function createUser(deps: AuthDeps, call: Call, input: Input): Promise<Output> {
  const asOf = await deps.views.fresh();
  const { username, roles, traits } = input;
  checkFitsCertificate(username, { roles: rolesToGive(deps, roles), traits });
  const { token, hash, command, expiresAt } = newInvite(deps, {
    username,
    purpose: 'invite',
    ttlMs: input.inviteTtlSeconds * second,
  });
  const { position } = await transact(
    deps.log.state,
    [
      step(user, userStream(username), {
        type: 'create-user',
        username,
        roles,
        traits,
        invite: { hash, expiresAt },
      }),
      step(invite, inviteStream(hash), command),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a new user made no fact');
  await deps.views.reached(position);
  return { inviteToken: token, expiresAt, position };
}

/** @throws CodedError `bad_request` for roles that a person cannot have. */
function rolesToGive(deps: AuthDeps, names: readonly string[]): readonly RoleSpec[] {
  const machine = names.find(isSystemRole);
  if (machine !== undefined) throw new CodedError('bad_request', `role "${machine}" is for machines`);
  const found = lookUpRoles(deps.views.roles.state(), names);
  if (found.status === 'missing')
    throw new CodedError('bad_request', `role "${found.names.join('", "')}" is not found`);
  return found.roles;
}
