import type { AuthClient } from '../../../api/client.ts';
import {
  certifyAccessRequest,
  createAccessRequest,
  longestRequestWaitSeconds,
  readAccessRequest,
} from '../../../api/operations/access-request.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { backoffMs, pause, randomFraction } from '../../../base/backoff.ts';
import { hour, minute, second } from '../../../base/duration.ts';
import { CodedError, isCoded } from '../../../base/errors.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import type { CliIo } from '../../cli-io.ts';
import { openPrompter } from '../../prompt.ts';
import { openTrustedAuth } from '../cluster/cluster-auth.ts';
import { connectStored } from '../cluster/connect-stored.ts';
import type { Settings } from '../settings.ts';
import { openTrust } from '../trust/open-trust.ts';
import { loadIdentity } from './key-store.ts';
import type { Profile } from './profile.ts';
import { storeCertified } from './renew-login.ts';

/** Roles to request, or requests that were made before. */
export type RequestWish =
  | {
      readonly roles: readonly string[];
      readonly reason: string;
      /** The reason is asked for with it; it may be empty. */
      readonly prompt?: string;
    }
  | { readonly ids: readonly string[] };

type Request = OutputOf<typeof readAccessRequest>['request'];

/**
 * Requests roles, waits until somebody has resolved that, and stores a certificate that names the request.
 * Texts of 4.4.
 * @throws CodedError `access_denied` where it is denied, or nobody resolved it in time.
 */
export async function requestRoles(
  settings: Settings,
  io: CliIo,
  profile: Profile,
  wish: RequestWish,
): Promise<void> {
  const ids = 'ids' in wish ? wish.ids : [await create(settings, io, profile, wish)];
  for (const id of ids) {
    io.stdout.write(`Seeking request approval... (id: ${id})\n`);
    requireApproved(await untilResolved(settings, io, profile, id));
  }
  io.stdout.write('\nApproval received, getting updated certificates...\n\n');
  await withAuth(settings, io, profile, async (auth, privateKey) => {
    const answer = await auth.call(certifyAccessRequest, {
      requestIds: [...ids],
      publicKey: toAuthorizedKeyLine(publicKeyOf(privateKey).blob),
      ttlSeconds: settings.ttlSeconds,
      format: settings.certificateFormat,
    });
    await storeCertified(settings, io, profile, { privateKey, answer });
  });
}

async function create(
  settings: Settings,
  io: CliIo,
  profile: Profile,
  { roles, reason: given, prompt }: Extract<RequestWish, { roles: unknown }>,
): Promise<string> {
  const reason = prompt === undefined ? given : await askReason(io, prompt);
  return withAuth(settings, io, profile, async (auth) => {
    const { request } = await auth.call(createAccessRequest, { roles: [...roles], reason });
    return request.requestId;
  });
}

async function askReason(io: CliIo, prompt: string): Promise<string> {
  const prompter = openPrompter(io);
  try {
    return (await prompter.line(prompt === '' ? 'Enter request reason:' : prompt)).trim();
  } finally {
    prompter.close();
  }
}

const retry = { baseMs: second, maxMs: 10 * second };
/** A request waits for an hour: whoever cannot ask for longer than that learns nothing more. */
const givesUpAfterMs = hour + 5 * minute;

/** Goes on over a restart of the proxy or of auth. */
async function untilResolved(settings: Settings, io: CliIo, profile: Profile, id: string): Promise<Request> {
  const until = performance.now() + givesUpAfterMs;
  for (let failures = 0; ;)
    try {
      return await withAuth(settings, io, profile, async (auth) => {
        for (;;) {
          const { request } = await auth.call(readAccessRequest, {
            requestId: id,
            waitSeconds: longestRequestWaitSeconds,
          });
          failures = 0;
          if (request.status !== 'pending') return request;
        }
      });
    } catch (e) {
      const mayPass = isCoded(e, 'unavailable') || isCoded(e, 'quota');
      if (!mayPass || performance.now() > until) throw e;
      failures++;
      if (settings.debug) io.stderr.write(`cannot ask about the request now, trying again: ${e.message}\n`);
      await pause(backoffMs(failures, retry.baseMs, retry.maxMs, randomFraction(io.world)));
    }
}

function requireApproved({ requestId, status, resolution }: Request): void {
  if (status === 'approved') return;
  const reason = resolution?.reason ?? '';
  const why = reason === '' ? '' : `, reason=${JSON.stringify(reason)}`;
  throw new CodedError(
    'access_denied',
    status === 'denied'
      ? `request ${requestId} has been set to DENIED${why}`
      : `request ${requestId} has expired: nobody resolved it in time, or what it granted is over`,
  );
}

type Key = NonNullable<ReturnType<typeof loadIdentity>>['privateKey'];

async function withAuth<T>(
  settings: Settings,
  io: CliIo,
  profile: Profile,
  use: (auth: AuthClient, privateKey: Key) => Promise<T>,
): Promise<T> {
  const identity = loadIdentity(settings.home, profile.proxyHost, profile.user);
  if (identity === undefined) throw new CodedError('access_denied', 'the login is not there any more');
  const trust = openTrust(identity, profile, settings, io);
  const proxy = { ...profile.ssh, port: settings.proxy?.sshPort ?? profile.ssh.port };
  const cluster = await connectStored(
    { identity, trust, proxy, proxyUsername: undefined, cluster: identity.clusterName },
    profile,
    settings,
    io,
  );
  try {
    const auth = await openTrustedAuth(cluster, io);
    try {
      return await use(auth, identity.privateKey);
    } finally {
      auth.close();
    }
  } finally {
    cluster.close();
  }
}
