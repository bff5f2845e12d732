import { writeFileAtomic } from '../../../base/files.ts';
import { CodedError } from '../../../base/errors.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { listOf } from '../../comma-list.ts';
import type { Run } from '../../program.ts';
import { isExpired } from './client-identity.ts';
import { keyLine } from './credential-text.ts';
import { identityFileText } from './identity-file.ts';
import { loadIdentity } from './key-store.ts';
import { type LoggedIn, requestLogin } from './login.ts';
import { type Profile, saveProfile } from './profile.ts';
import { type Settings, readSettings } from '../settings.ts';
import { printStatus } from './status-command.ts';
import type { RequestWish } from './request-roles.ts';
import { storeLogin } from './store-login.ts';

/**
 * `tsh login [cluster]`: with a login that is still valid it prints its status, after renewing it where that
 * is due, and makes the cluster the one that commands go to; else it asks for password and code. `--out`
 * writes the certificates to a file and stores nothing. With `--request-roles`, or where a role of the
 * person says so, it then requests roles and waits for them.
 */
export const loginCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const cluster = invocation.arg('cluster');
  if (settings.identityFile !== undefined)
    throw new CodedError('bad_request', '-i/--identity cannot be used with login: it is a login already');
  const out = invocation.text('out');
  const wish = requestWish(invocation);
  if (out !== undefined && wish !== undefined)
    throw new CodedError(
      'unavailable',
      '--out with requested roles is not available in this release: log in without it',
    );
  if (out !== undefined) return loginToFile(settings, io, invocation, out);
  const standing = standingLogin(settings, io);
  if (standing !== undefined) {
    const profile = await goOn(settings, io, standing, cluster ?? standing.cluster);
    if (wish !== undefined) await withRequest(settings, io, profile, wish);
    return printStatus(settings, io);
  }
  const loggedIn = await requestLogin(settings, io, cluster);
  await storeLogin(settings, io, loggedIn);
  if ((loggedIn.leaves ?? []).length > 0)
    await (await import('./learn-leaves.ts')).learnLeaves(settings, io, loggedIn);
  const wanted = wish ?? wishOf(loggedIn.request, invocation);
  if (wanted !== undefined) await withRequest(settings, io, loggedIn.profile, wanted);
  return printStatus(settings, io);
};

/** With a login that holds: renewed where that is due, and for this cluster. */
async function goOn(settings: Settings, io: CliIo, standing: Profile, cluster: string): Promise<Profile> {
  await saveProfile(settings.home, standing);
  await (await import('./renew-login.ts')).renewIfDue(settings, io, standing);
  if (cluster === standing.cluster) return standing;
  return (await import('./go-to-cluster.ts')).goToCluster(settings, io, standing, cluster);
}

async function withRequest(
  settings: Settings,
  io: CliIo,
  profile: Profile,
  wish: RequestWish,
): Promise<void> {
  const { requestRoles } = await import('./request-roles.ts');
  await requestRoles(settings, io, profile, wish);
}

/** What the flags ask for; undefined: no request. @throws CodedError `bad_request` */
function requestWish(invocation: Invocation): RequestWish | undefined {
  const roles = listOf(invocation.text('request-roles'));
  const ids = listOf(invocation.text('request-id'));
  const reason = invocation.text('request-reason');
  if (roles.length > 0 && ids.length > 0)
    throw new CodedError(
      'bad_request',
      '--request-roles makes a request and --request-id uses one: give one of them',
    );
  if (ids.length > 0) return { ids };
  if (roles.length > 0) return { roles, reason: reason ?? '' };
  if (invocation.given('request-roles') || invocation.given('request-id'))
    throw new CodedError('bad_request', '--request-roles and --request-id need a name');
  return undefined;
}

/** What a role of the person wants: all that they may request. */
function wishOf(wanted: LoggedIn['request'], invocation: Invocation): RequestWish | undefined {
  if (wanted === undefined) return undefined;
  const reason = invocation.text('request-reason');
  const ask = wanted.access === 'reason' && reason === undefined;
  return { roles: ['*'], reason: reason ?? '', ...(ask && { prompt: wanted.prompt }) };
}

/** The profile that flags name, when its certificate is still valid. */
function standingLogin(settings: Settings, io: CliIo): Profile | undefined {
  const { profile, proxy, user } = settings;
  if (profile?.user !== user) return undefined;
  if (proxy?.webPort !== undefined && proxy.webPort !== profile.web.port) return undefined;
  try {
    const identity = loadIdentity(settings.home, profile.proxyHost, user);
    return identity === undefined || isExpired(identity, io.world.now()) ? undefined : profile;
  } catch {
    return undefined; // damaged files: a new login replaces them
  }
}

async function loginToFile(
  settings: Settings,
  io: CliIo,
  invocation: Invocation,
  out: string,
): Promise<number> {
  const format = invocation.text('format');
  if (format === 'kubernetes')
    throw new CodedError(
      'unavailable',
      '--format=kubernetes is not available in this release: use file or openssh',
    );
  const loggedIn = await requestLogin(settings, io, invocation.arg('cluster'));
  writeIdentity(out, format === 'openssh', loggedIn);
  io.stdout.write(`\nThe certificate has been written to ${out}\n`);
  return 0;
}

const privateMode = 0o600;

function writeIdentity(
  path: string,
  forOpenssh: boolean,
  { credentials, authorities, profile, identity: { clusterName } }: LoggedIn,
): void {
  if (forOpenssh) {
    writeFileAtomic(`${path}-cert.pub`, `${keyLine(credentials.sshCertificate)}\n`, privateMode);
    writeFileAtomic(path, credentials.privateKeyPem, privateMode);
  } else
    writeFileAtomic(
      path,
      identityFileText(credentials, authorities, { ...profile, clusterName }),
      privateMode,
    );
}
