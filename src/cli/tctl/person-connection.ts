import type { AuthClient } from '../../api/client.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { formatHostPort } from '../../base/service.ts';
import type { CliIo } from '../cli-io.ts';
import { openTrustedAuth } from '../tsh/cluster/cluster-auth.ts';
import { openCluster } from '../tsh/cluster/open-cluster.ts';
import { type ProxyAddress, parseProxyAddress } from '../tsh/cluster/proxy-address.ts';
import { openHome, type TshHome } from '../tsh/login/home.ts';
import { currentProxyHost, loadProfile, loadProfiles, type Profile } from '../tsh/login/profile.ts';
import type { Settings } from '../tsh/settings.ts';

export interface PersonConnection {
  readonly auth: AuthClient;
  /** Of the proxy's SSH. */
  readonly address: string;
  readonly close: () => void;
}

interface Asked {
  /** As `--proxy` of tsh; undefined: the proxy of the last login. */
  readonly proxy: string | undefined;
  /** Why tctl acts for a person: it is part of each refusal. */
  readonly because: string;
  readonly debug: boolean;
  readonly callTimeoutMs?: number | undefined;
}

/** Minutes that `tsh` asks for too, where a certificate is exchanged because of a rotation. */
const ttlSeconds = 720 * 60;

/**
 * An auth server through the proxy where this person logged in with `tsh login`, with that login's
 * certificate. Nobody is asked for a password. Close the result.
 * @throws CodedError `access_denied` without a login that holds, `unavailable` when the proxy or an auth
 *   server does not respond: with what was tried, and why.
 */
export async function connectAsPerson(asked: Asked, io: CliIo): Promise<PersonConnection> {
  const home = openHome(io.env);
  const standing = await findLogin(home, asked);
  const settings = settingsOf(home, standing, asked.debug);
  try {
    const cluster = await openCluster(settings, io, { mayAsk: false });
    try {
      const auth = await openTrustedAuth(cluster, io, asked.callTimeoutMs);
      const close = (): void => {
        auth.close();
        cluster.close();
      };
      return { auth, address: formatHostPort(cluster.route.proxy), close };
    } catch (e) {
      cluster.close();
      throw e;
    }
  } catch (e) {
    if (!isCoded(e)) throw e;
    const { user, proxyHost } = standing.profile;
    throw new CodedError(
      e.code,
      `${e.message} (${asked.because}, so tctl took the login of user '${user}' at ${proxyHost})`,
      { cause: e },
    );
  }
}

interface Standing {
  readonly proxy: ProxyAddress | undefined;
  readonly profile: Profile;
}

async function findLogin(home: TshHome, { proxy: text, because }: Asked): Promise<Standing> {
  const proxy = text === undefined ? undefined : parseProxyAddress(text);
  const host = proxy?.host ?? currentProxyHost(home);
  const profile = host === undefined ? undefined : await loadProfile(home, host);
  if (profile !== undefined) return { proxy, profile };
  const others = (await loadProfiles(home)).map(({ proxyHost }) => proxyHost);
  const missing =
    host === undefined
      ? `there is no login of tsh in ${home.directory}`
      : `nobody logged in to ${host} with tsh`;
  const choice = others.length === 0 ? '' : `, or name one of your logins with --proxy: ${others.join(', ')}`;
  throw new CodedError(
    'access_denied',
    `${because}, and ${missing}: log in with 'tsh login --proxy=${text ?? '<address of the proxy>'}'${choice}`,
  );
}

const settingsOf = (home: TshHome, { proxy, profile }: Standing, debug: boolean): Settings => ({
  home,
  proxy,
  profile,
  user: profile.user,
  userGiven: false,
  login: undefined,
  ttlSeconds,
  certificateFormat: 'standard',
  identityFile: undefined,
  insecure: false,
  debug,
  skipVersionCheck: false,
  acceptAnnounced: false,
  useAgent: false,
  escapeSequences: false,
  jumpHost: undefined,
});
