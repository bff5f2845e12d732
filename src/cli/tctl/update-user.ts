import type { AuthClient } from '../../api/client.ts';
import { readResource, updateResource } from '../../api/operations/resource.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { userDocument, type UserDocument } from '../../domain/resources/user.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { listOf } from '../comma-list.ts';
import { withAuth } from './connect.ts';
import { heardOrDone } from './lost-answer.ts';

interface Wish {
  readonly roles?: readonly string[];
  readonly logins?: readonly string[];
}

/** `tctl users update` */
export async function updateUser(invocation: Invocation, io: CliIo): Promise<number> {
  const name = invocation.arg('account') ?? '';
  const wish = wishOf(invocation);
  const { spec } = await withAuth(invocation, io, (auth) => change({ auth, io }, name, wish));
  if (wish.roles !== undefined)
    io.stdout.write(`${name} has been updated with roles ${spec.roles.join(',')}\n`);
  if (wish.logins !== undefined)
    io.stdout.write(`${name} has been updated with logins ${wish.logins.join(',') || '(none)'}\n`);
  return 0;
}

function wishOf(invocation: Invocation): Wish {
  const roles = invocation.given('set-roles') ? listOf(invocation.text('set-roles')) : undefined;
  const logins = invocation.given('set-logins') ? listOf(invocation.text('set-logins')) : undefined;
  if (roles === undefined && logins === undefined)
    throw new CodedError('bad_request', 'need what to change: --set-roles, --set-logins, or both');
  if (roles?.length === 0) throw new CodedError('bad_request', '--set-roles: a user needs at least one role');
  return { ...(roles && { roles }), ...(logins && { logins }) };
}

/** How often it is done again when others change the same user meanwhile. */
const maxAttempts = 5;

/** By the revision that was read, so that nothing that somebody else changes meanwhile is lost. */
export async function change(
  on: { readonly auth: Pick<AuthClient, 'call'>; readonly io: CliIo },
  name: string,
  wish: Wish,
  attempt = 1,
): Promise<UserDocument> {
  const { auth, io } = on;
  const { document } = await auth.call(readResource, { kind: 'user', name });
  const before = userDocument.parse(document);
  const { roles, logins } = wish;
  const after: UserDocument = {
    ...before,
    spec: {
      ...before.spec,
      ...(roles && { roles: [...roles] }),
      ...(logins && { traits: { ...before.spec.traits, logins: [...logins] } }),
    },
  };
  try {
    const written = await heardOrDone(auth.call(updateResource, { document: after, dryRun: false }), io);
    return written === undefined ? after : userDocument.parse(written.after);
  } catch (e) {
    if (!isCoded(e, 'conflict') || attempt === maxAttempts) throw e;
    return change(on, name, wish, attempt + 1);
  }
}
