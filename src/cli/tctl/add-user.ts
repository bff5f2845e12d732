import type { AuthClient } from '../../api/client.ts';
import { createResource } from '../../api/operations/resource.ts';
import { createUser } from '../../api/operations/user.ts';
import { CodedError } from '../../base/errors.ts';
import { shellQuote } from '../../base/shell-quote.ts';
import { isUnixLogin } from '../../domain/names.ts';
import type { Traits } from '../../domain/role-spec.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { listOf } from '../comma-list.ts';
import { formatGoDuration, parseTtl } from '../duration.ts';
import { withAuth } from './connect.ts';
import { heardOrDone, orLost } from './lost-answer.ts';
import { linkAddress, printLink } from './user-link.ts';

/** `tctl users add` */
export async function addUser(invocation: Invocation, io: CliIo): Promise<number> {
  const username = invocation.arg('account') ?? '';
  const allowed = loginsFor(username, listOf(invocation.arg('local-logins')));
  const roles = listOf(invocation.text('roles'));
  if (roles.length === 0) throw new CodedError('bad_request', '--roles: a user needs at least one role');
  const kubernetesUsers = listOf(invocation.text('k8s-users'));
  const traits = {
    logins: allowed,
    kubernetes_users: kubernetesUsers.length > 0 ? kubernetesUsers : allowed,
    kubernetes_groups: listOf(invocation.text('k8s-groups')),
  };
  if (invocation.on('no-password')) {
    if (invocation.given('ttl'))
      throw new CodedError('bad_request', '--ttl is about a link, and --no-password makes none');
    return addWithoutPassword(invocation, io, { username, roles, traits });
  }
  const inviteTtlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  await withAuth(invocation, io, async (auth, configuration) => {
    const made = await orLost(
      auth.call(createUser, { username, roles, traits, inviteTtlSeconds }),
      `"tctl users reset ${shellQuote(username)}" makes another link`,
    );
    const link = await linkAddress(auth, configuration);
    const validFor = formatGoDuration(inviteTtlSeconds * 1000);
    printLink(
      invocation,
      io,
      { username, path: `/web/invite/${made.inviteToken}`, link, expiresAt: made.expiresAt },
      `User ${username} has been created but requires a password. Share this URL with the user to complete user setup, link is valid for ${validFor}:`,
    );
  });
  return 0;
}

/**
 * Without logins the user has its own name as the one login, as in 4.4, where that can be one.
 * @throws CodedError `bad_request` that says so, for a name such as a mail address.
 */
export function loginsFor(username: string, given: readonly string[]): string[] {
  if (given.length > 0) return [...given];
  if (isUnixLogin(username)) return [username];
  throw new CodedError(
    'bad_request',
    `${JSON.stringify(username)} cannot be a login on a server: give the logins, as in 'tctl users add <name> root,deploy'`,
  );
}

interface Described {
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
}

async function addWithoutPassword(invocation: Invocation, io: CliIo, described: Described): Promise<number> {
  const { username } = described;
  await withAuth(invocation, io, (auth) => heardOrDone(createWithoutPassword(auth, described), io));
  io.stdout.write(
    invocation.text('format') === 'json'
      ? `${JSON.stringify({ user: username }, undefined, 4)}\n`
      : `User ${username} has been created without a password: 'tctl auth sign --user=<name>' gives it certificates, and 'tctl users reset <name>' a link to set one\n`,
  );
  return 0;
}

/** As a file of kind `user` makes one. */
async function createWithoutPassword(
  auth: AuthClient,
  { username, roles, traits }: Described,
): Promise<void> {
  const document = {
    kind: 'user',
    version: 'v2',
    metadata: { name: username },
    spec: { roles: [...roles], traits: { ...traits } },
  };
  await auth.call(createResource, { document, dryRun: false });
}
