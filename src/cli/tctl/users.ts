import { listHosts } from '../../api/operations/host.ts';
import { listLocks } from '../../api/operations/lock.ts';
import {
  createUser,
  deleteUser,
  resetUser as userReset,
  unlockUser as userUnlock,
} from '../../api/operations/user.ts';
import type { AuthClient } from '../../api/client.ts';
import { CodedError } from '../../base/errors.ts';
import type { Configuration } from '../../process/configuration/configuration.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { listOf } from '../comma-list.ts';
import { formatGoDuration, parseTtl } from '../duration.ts';
import { withAuth } from './connect.ts';
import { removalText } from './removal-text.ts';
import { heardOrDone, orLost } from './lost-answer.ts';
import { type LinkAddress, linkAddressOf, noteOn, unknownProxy } from './link-address.ts';

/** `tctl users add` */
export async function addUser(invocation: Invocation, io: CliIo): Promise<number> {
  const username = invocation.arg('account') ?? '';
  const logins = listOf(invocation.arg('local-logins'));
  const allowed = logins.length > 0 ? logins : [username];
  const roles = listOf(invocation.text('roles'));
  if (roles.length === 0) throw new CodedError('bad_request', '--roles: a user needs at least one role');
  const kubernetesUsers = listOf(invocation.text('k8s-users'));
  const inviteTtlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  await withAuth(invocation, io, async (auth, configuration) => {
    const traits = {
      logins: allowed,
      kubernetes_users: kubernetesUsers.length > 0 ? kubernetesUsers : allowed,
      kubernetes_groups: listOf(invocation.text('k8s-groups')),
    };
    const made = await orLost(
      auth.call(createUser, { username, roles, traits, inviteTtlSeconds }),
      `"tctl users reset ${username}" makes another link`,
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

/** `tctl users reset` */
export async function resetUser(invocation: Invocation, io: CliIo): Promise<number> {
  const username = invocation.arg('account') ?? '';
  const resetTtlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  await withAuth(invocation, io, async (auth, configuration) => {
    const made = await orLost(
      auth.call(userReset, { username, resetTtlSeconds }),
      'the same command makes another link',
    );
    const link = await linkAddress(auth, configuration);
    printLink(
      invocation,
      io,
      { username, path: `/web/reset/${made.resetToken}`, link, expiresAt: made.expiresAt },
      `User ${username} has been reset. Share this URL with the user to complete password reset, link is valid for ${formatGoDuration(resetTtlSeconds * 1000)}:`,
    );
  });
  return 0;
}

/** `tctl users rm` */
export async function removeUsers(invocation: Invocation, io: CliIo): Promise<number> {
  const names = listOf(invocation.arg('logins'));
  if (names.length === 0) throw new CodedError('bad_request', 'Need an argument: logins');
  await withAuth(invocation, io, async (auth) => {
    for (const username of names) {
      await heardOrDone(auth.call(deleteUser, { username }), io);
      io.stdout.write(`User "${username}" has been deleted\n`);
      const { locks } = await auth.call(listLocks, {});
      io.stderr.write(removalText(username, locks));
    }
  });
  return 0;
}

/** `tctl users unlock` */
export async function unlockUser(invocation: Invocation, io: CliIo): Promise<number> {
  const username = invocation.arg('account') ?? '';
  const answer = await withAuth(invocation, io, (auth) =>
    heardOrDone(auth.call(userUnlock, { username }), io),
  );
  io.stdout.write(
    answer?.unlocked !== false
      ? `User "${username}" has been unlocked: earlier failed logins no longer count\n`
      : `User "${username}" was not locked, and no login has failed\n`,
  );
  return 0;
}

/** Where the link leads; from the file of this machine, where it names an address. */
async function linkAddress(auth: AuthClient, configuration: Configuration | undefined): Promise<LinkAddress> {
  const { hosts } = await auth.call(listHosts, { role: 'Proxy' });
  if (configuration === undefined) return linkAddressOf({ publicAddresses: [], local: undefined }, hosts);
  const { file, roles, nodename, listen } = configuration;
  const local = roles.has('proxy') ? { host: nodename, port: listen.web.port } : undefined;
  return linkAddressOf({ publicAddresses: file.proxy_service.public_addr, local }, hosts);
}

interface Made {
  readonly username: string;
  /** From `/web` on. */
  readonly path: string;
  readonly link: LinkAddress;
  readonly expiresAt: string;
}

function printLink(invocation: Invocation, io: CliIo, made: Made, head: string): void {
  const { username, path, link, expiresAt } = made;
  const url = `https://${link.status === 'undecided' ? unknownProxy : link.address}${path}`;
  if (invocation.text('format') === 'json') {
    const proxies = link.status === 'undecided' ? { proxies: link.told } : {};
    io.stdout.write(
      `${JSON.stringify({ user: username, url, expires: expiresAt, ...proxies }, undefined, 4)}\n`,
    );
    return;
  }
  io.stdout.write([head, url, '', ...noteOn(link), ''].join('\n'));
}
