import { hostname, networkInterfaces } from 'node:os';
import { isWildcard } from '../../base/addresses.ts';
import { CodedError } from '../../base/errors.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { isLoopback } from '../../domain/host-text.ts';
import { hasServedAuth } from '../identity/cluster-of-data-dir.ts';

/** Whether this process is an auth server, and how sure that is. */
export type AuthRole =
  | { readonly status: 'on' }
  | { readonly status: 'off' }
  /** Off, since another auth server is named: a machine with such a setting joins it, as in 4.4. */
  | { readonly status: 'joins'; readonly why: string }
  /**
   * On by default, although some setting is only useful for joining: a first start would create a cluster by
   * mistake.
   */
  | { readonly status: 'on in doubt'; readonly why: string };

/** The settings given by flags and in the file. */
export interface AuthRoleSaid {
  /** Whether flags, file or default enable the auth role. */
  readonly enabled: boolean;
  /** `--roles` was given. */
  readonly byFlag: boolean;
  /** The file has a section `auth_service`, which has no `enabled: no`. */
  readonly byFile: boolean;
  /** The file configures where the log is, which only an auth server uses. */
  readonly hasStorage: boolean;
  /** Of `--auth-server`, else of `auth_servers`. */
  readonly servers: readonly HostPort[];
  readonly serversByFlag: boolean;
  /** `proxy_server` names where this machine joins. */
  readonly byProxy: boolean;
  /** `auth_token` or `ca_pin`, by flag or file. */
  readonly hasTokenOrPin: boolean;
  /** Whether this machine's own auth server would be at that address. */
  readonly isOwn: (server: HostPort) => boolean;
}

/** As an operator writes it in the file. */
const sayOff = 'auth_service: {enabled: no}';
const sayOn = 'auth_service: {enabled: yes}';

/** Flags override the file, and explicit settings override the default. */
export function authRoleOf(said: AuthRoleSaid): AuthRole {
  if (!said.enabled) return { status: 'off' };
  const others = said.servers.filter((server) => !said.isOwn(server));
  if (said.serversByFlag) {
    if (said.byFlag && others.length === 0) return { status: 'on' };
    return { status: 'joins', why: `--auth-server names an auth server to join (${listed(said.servers)})` };
  }
  return said.byFlag || said.byFile ? { status: 'on' } : authRoleUnsaid(said, others);
}

/** The role of a process that has the auth role only by default. */
function authRoleUnsaid(said: AuthRoleSaid, others: readonly HostPort[]): AuthRole {
  const { servers, hasTokenOrPin, hasStorage } = said;
  if (said.byProxy)
    return { status: 'joins', why: `proxy_server names a proxy to join through (${listed(servers)})` };
  if (servers.length === 0 && hasTokenOrPin) return { status: 'on in doubt', why: joinsWhom };
  if (others.length === 0) return { status: 'on' };
  const named = `auth_servers names another auth server (${listed(others)})`;
  if (hasTokenOrPin) return { status: 'joins', why: `${named}, and there is a token or a pin to join with` };
  // Where the log is matters only to an auth server.
  if (hasStorage) return { status: 'on' };
  return {
    status: 'on in doubt',
    why: `${named}, and nothing says whether this machine joins it or is one itself: add "${sayOff}" to the file to join it, or "${sayOn}"`,
  };
}

const joinsWhom =
  'a join token or CA pin is given, but no auth server to join: name it (auth_servers, --auth-server); for a cluster of ' +
  `its own leave token and pin out, or say "${sayOn}"`;

const listed = (servers: readonly HostPort[]): string => servers.map(formatHostPort).join(', ');

/**
 * On a machine that has served as an auth server, an inference alone neither removes that role nor prevents
 * the start.
 * @returns what to warn of.
 * @throws CodedError `misconfigured` for a setting that must be made explicit.
 */
export function checkAuthRole(role: AuthRole, dataDir: string): string | undefined {
  if (role.status === 'on' || role.status === 'off') return undefined;
  const served = hasServedAuth(dataDir);
  if (role.status === 'joins') {
    if (!served)
      return `not starting the local auth service: ${role.why}; to say so by name: "${sayOff}" (--roles=proxy,node)`;
    throw new CodedError(
      'misconfigured',
      `${role.why}, but this machine is an auth server of its cluster (${dataDir}). To stay one, leave that out, or ` +
        `say "${sayOn}" in the file and start it without --auth-server; to stop being one, say "${sayOff}" or --roles=proxy,node`,
    );
  }
  if (served) return role.why;
  throw new CodedError('misconfigured', role.why);
}

/** @param names by which others know this machine: as a whole, and its auth server. */
export function ownAuthAddress(listen: HostPort, names: readonly string[]): (server: HostPort) => boolean {
  return ({ host, port }) => {
    if (port !== listen.port) return false;
    if (host === listen.host || names.includes(host)) return true;
    if (isWildcard(host) || isLoopback(host)) return isWildcard(listen.host) || isLoopback(listen.host);
    return isWildcard(listen.host) && (host === hostname() || ownIps().includes(host));
  };
}

const ownIps = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address));
