import { CodedError } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { parseNumber } from '../duration.ts';
import { type TshHome, checkedUser, openHome } from './login/home.ts';
import { localUsername } from './ssh/local-person.ts';
import { type Profile, currentProxyHost, loadProfile } from './login/profile.ts';
import { type ProxyAddress, defaultSshPort, parsePort, parseProxyAddress } from './cluster/proxy-address.ts';

/** The combined settings of global flags, environment and profile. */
export interface Settings {
  readonly home: TshHome;
  /** From `--proxy`; absent when the current profile decides. */
  readonly proxy: ProxyAddress | undefined;
  /** Of that proxy, or the current one; absent before the first login. */
  readonly profile: Profile | undefined;
  /** The Teleport user. @throws CodedError `misconfigured` when nothing names one. */
  readonly user: string;
  readonly userGiven: boolean;
  /** From `--login`; else the login on nodes is the name of the local account (`localUsername`). */
  readonly login: string | undefined;
  readonly ttlSeconds: number;
  readonly certificateFormat: 'standard' | 'oldssh';
  readonly identityFile: string | undefined;
  readonly insecure: boolean;
  readonly debug: boolean;
  readonly skipVersionCheck: boolean;
  /** Whether hosts and clusters that were neither typed nor known are accepted without a question. */
  readonly acceptAnnounced: boolean;
  readonly useAgent: boolean;
  readonly escapeSequences: boolean;
  readonly jumpHost: JumpHost | undefined;
}

export interface JumpHost {
  readonly username: string | undefined;
  readonly address: HostPort;
}

/** @throws CodedError `bad_request` for a value that cannot be used. */
export async function readSettings(invocation: Invocation, io: CliIo): Promise<Settings> {
  checkConnector(invocation.text('auth'));
  const home = openHome(io.env);
  const { proxy, profile } = await readProxy(home, invocation.text('proxy'));
  const user = invocation.text('user');
  const named = user ?? profile?.user;
  if (named !== undefined) checkedUser(named);
  const jump = invocation.text('jumphost');
  return {
    home,
    proxy,
    profile,
    // Looked up only when needed: with an identity file, the account may have no name on this machine.
    get user() {
      return named ?? checkedUser(localUsername(io.env));
    },
    userGiven: user !== undefined,
    login: invocation.text('login'),
    ttlSeconds: parseNumber(invocation.text('ttl') ?? '', minutes, '--ttl') * 60,
    certificateFormat: invocation.text('cert-format') === 'oldssh' ? 'oldssh' : 'standard',
    identityFile: invocation.text('identity'),
    insecure: invocation.on('insecure'),
    debug: invocation.on('debug'),
    skipVersionCheck: invocation.on('skip-version-check'),
    acceptAnnounced: invocation.on('accept-announced'),
    useAgent: invocation.on('use-local-ssh-agent'),
    escapeSequences: invocation.on('enable-escape-sequences'),
    jumpHost: jump === undefined ? undefined : parseJumpHost(jump),
  };
}

function checkConnector(name = 'local'): void {
  if (name !== 'local')
    throw new CodedError(
      'unavailable',
      `--auth=${name} is not available in this release: log in with a local user (--auth=local)`,
    );
}

async function readProxy(
  home: TshHome,
  text: string | undefined,
): Promise<Pick<Settings, 'proxy' | 'profile'>> {
  const proxy = text === undefined ? undefined : parseProxyAddress(text);
  const proxyHost = proxy?.host ?? currentProxyHost(home);
  return { proxy, profile: proxyHost === undefined ? undefined : await loadProfile(home, proxyHost) };
}

/** Of a certificate: up to a year. */
const minutes = { min: 1, max: 525_600 };

/** Reads `[user@]host[:port]`. @throws CodedError `bad_request`; also for a chain of hosts. */
export function parseJumpHost(text: string): JumpHost {
  if (text.includes(','))
    throw new CodedError('bad_request', `-J ${text}: exactly one jump host is supported`);
  const at = text.lastIndexOf('@');
  const address = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text.slice(at + 1));
  const host = address?.[1] ?? address?.[2];
  if (host === undefined || at === 0)
    throw new CodedError('bad_request', `-J ${text}: expected [user@]host[:port]`);
  const port = address?.[3] === undefined ? defaultSshPort : parsePort(address[3], '-J');
  return { username: at < 0 ? undefined : text.slice(0, at), address: { host, port } };
}
