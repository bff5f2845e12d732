import { writeFileAtomic } from '../../base/files.ts';
import type { HostPort } from '../../base/service.ts';
import { fromAuthorizedKeyLine, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import type { TshHome } from './home.ts';
import { readIfThere } from './profile.ts';

/** The host authorities of one cluster, as a login brought them. */
export interface ClusterAuthorities {
  readonly clusterName: string;
  /** authorized_keys lines. */
  readonly checkingKeys: readonly string[];
}

/** A proxy by the name it was logged in to, and its SSH address, whose host may have another name. */
export interface ProxyNames {
  readonly proxyHost: string;
  readonly ssh: HostPort;
}

/** For which names stock ssh may believe these authorities: the nodes of the cluster and the proxy itself. */
function patterns(clusterName: string, { proxyHost, ssh }: ProxyNames): string {
  const proxies = [...new Set([proxyHost, ssh.host])].flatMap((host) => [host, `[${host}]:${ssh.port}`]);
  return [`*.${clusterName}`, `[*.${clusterName}]:*`, ...proxies].join(',');
}

/** The end of a line of ours. tsh believes an authority only for the proxy that named it. */
const mark = (clusterName: string, proxyHost: string): string =>
  `clustername=${encodeURIComponent(clusterName)}&type=host&proxy=${proxyHost}`;

/** Lines that stock ssh reads too. Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */
export const authorityLines = (
  clusters: readonly ClusterAuthorities[],
  proxy: ProxyNames,
): readonly string[] =>
  clusters.flatMap(({ clusterName, checkingKeys }) =>
    checkingKeys.map((line) => {
      const key = toAuthorizedKeyLine(fromAuthorizedKeyLine(line)).trim();
      return `@cert-authority ${patterns(clusterName, proxy)} ${key} ${mark(clusterName, proxy.proxyHost)}`;
    }),
  );

const isOf =
  (proxyHost: string) =>
  (line: string): boolean =>
    line.startsWith('@cert-authority ') && line.endsWith(`&type=host&proxy=${proxyHost}`);

/** `text` with the lines of this proxy replaced; those of others and of the user stay. */
export function replaceAuthorities(text: string, proxyHost: string, lines: readonly string[]): string {
  const mine = isOf(proxyHost);
  const kept = text.split('\n').filter((line) => line !== '' && !mine(line));
  return [...kept, ...lines].map((line) => `${line}\n`).join('');
}

/** Public key blobs of the host authorities that a login at this proxy brought. Lines that cannot be read count as none. */
export function authoritiesOf(text: string, proxyHost: string): readonly Buffer[] {
  return text
    .split('\n')
    .filter(isOf(proxyHost))
    .map((line) => keyOf(line.split(' ').slice(2, 4).join(' ')))
    .filter((blob) => blob !== undefined);
}

/** Public key blobs of the plain host keys that a person accepted for this address (`--insecure`). */
export function plainKeysOf(text: string, address: string): readonly Buffer[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([names]) => names !== undefined && !names.startsWith('@') && names.split(',').includes(address))
    .map(([, type, key]) => keyOf(`${type ?? ''} ${key ?? ''}`))
    .filter((blob) => blob !== undefined);
}

function keyOf(line: string): Buffer | undefined {
  try {
    return fromAuthorizedKeyLine(line);
  } catch {
    return undefined; // a line of another program: it vouches for nobody
  }
}

const fileMode = 0o640;

export const readKnownHosts = (home: TshHome): string => readIfThere(home.knownHosts) ?? '';

export function storeAuthorities(
  home: TshHome,
  clusters: readonly ClusterAuthorities[],
  proxy: ProxyNames,
): void {
  const text = replaceAuthorities(readKnownHosts(home), proxy.proxyHost, authorityLines(clusters, proxy));
  writeFileAtomic(home.knownHosts, text, fileMode);
}

export function storePlainKey(home: TshHome, name: string, blob: Buffer): void {
  const line = `${name} ${toAuthorizedKeyLine(blob).trim()}\n`;
  writeFileAtomic(home.knownHosts, `${readKnownHosts(home)}${line}`, fileMode);
}

/** As known_hosts names an address: the port only when it is not 22. */
export const knownHostName = (address: HostPort): string =>
  address.port === 22 ? address.host : `[${address.host}]:${address.port}`;
