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
  /** By name; a trait without values is taken away. The logins of the user are the trait `logins`. */
  readonly traits?: ReadonlyMap<string, readonly string[]>;
}

/** `tctl users update` */
export async function updateUser(invocation: Invocation, io: CliIo): Promise<number> {
  const name = invocation.arg('account') ?? '';
  const wish = wishOf(invocation);
  const { spec } = await withAuth(invocation, io, (auth) => change({ auth, io }, name, wish));
  if (wish.roles !== undefined)
    io.stdout.write(`${name} has been updated with roles ${spec.roles.join(',')}\n`);
  for (const [trait, values] of wish.traits ?? [])
    io.stdout.write(
      `${name} has been updated with ${trait === 'logins' ? trait : `trait ${trait}`} ${values.join(',') || '(none)'}\n`,
    );
  return 0;
}

function wishOf(invocation: Invocation): Wish {
  const roles = invocation.given('set-roles') ? listOf(invocation.text('set-roles')) : undefined;
  const logins = invocation.given('set-logins') ? listOf(invocation.text('set-logins')) : undefined;
  const traits = traitsOf(invocation.list('set-traits'));
  if (logins !== undefined && traits.has('logins'))
    throw new CodedError(
      'bad_request',
      '--set-logins and --set-traits=logins=… say the same: give one of them',
    );
  const changed = new Map([...(logins === undefined ? [] : [['logins', logins] as const]), ...traits]);
  if (roles === undefined && changed.size === 0)
    throw new CodedError('bad_request', 'need what to change: --set-roles, --set-logins, or --set-traits');
  if (roles?.length === 0) throw new CodedError('bad_request', '--set-roles: a user needs at least one role');
  return { ...(roles && { roles }), ...(changed.size > 0 && { traits: changed }) };
}

/**
 * `department=dev,ops` as a trait and its values; `department=` as a trait without any.
 * @throws CodedError `bad_request` for another form, or a trait that is given twice.
 */
export function traitsOf(given: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const traits = new Map<string, readonly string[]>();
  for (const text of given) {
    const at = text.indexOf('=');
    const name = text.slice(0, Math.max(at, 0)).trim();
    if (name === '')
      throw new CodedError(
        'bad_request',
        `--set-traits=${text}: expected name=value,value, or name= to take the trait away`,
      );
    if (traits.has(name)) throw new CodedError('bad_request', `--set-traits: ${name} is given twice`);
    traits.set(name, listOf(text.slice(at + 1)));
  }
  return traits;
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
  const { roles, traits } = wish;
  const after: UserDocument = {
    ...before,
    spec: {
      ...before.spec,
      ...(roles && { roles: [...roles] }),
      ...(traits && { traits: { ...before.spec.traits, ...valuesOf(traits) } }),
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

const valuesOf = (traits: ReadonlyMap<string, readonly string[]>): Record<string, string[]> =>
  Object.fromEntries([...traits].map(([name, values]) => [name, [...values]]));
