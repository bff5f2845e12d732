import { CodedError } from '../../../base/errors.ts';
import { writeFileAtomic } from '../../../base/files.ts';
import type { HostPort } from '../../../base/service.ts';
import { isClusterName } from '../../../domain/names.ts';
import { fromAuthorizedKeyLine, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { keyLine } from './credential-text.ts';
import { type TshHome, isHostName } from './home.ts';
import { readIfThere } from './profile.ts';

/** The host authorities of one cluster, as a login brought them. */
export interface ClusterAuthorities {
  readonly clusterName: string;
  /** authorized_keys lines. */
  readonly checkingKeys: readonly string[];
}

/** A proxy by the name used at the login, and its SSH address, whose host may have another name. */
export interface ProxyNames {
  /** The cluster that it is of. It may lead to others, whose authorities vouch for nothing of this one. */
  readonly clusterName: string;
  readonly proxyHost: string;
  readonly ssh: HostPort;
}

const unwritable = (what: string, text: string): CodedError =>
  new CodedError('bad_request', `${JSON.stringify(text)} cannot be written into known_hosts as ${what}`);

/** A field of a line: no wildcard, no comma, nothing that ends a word or a line. */
function host(name: string): string {
  if (isHostName(name)) return name;
  throw unwritable('a host', name);
}

function cluster(name: string): string {
  if (isClusterName(name)) return name;
  throw unwritable('a cluster', name);
}

function port(value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
  throw unwritable('a port', String(value));
}

const nodesOf = (clusterName: string): readonly string[] => [`*.${clusterName}`, `[*.${clusterName}]:*`];

/**
 * The names for which stock ssh may trust these authorities: the nodes of the cluster, and for that of the
 * proxy the proxy itself. Another cluster may have a name that covers those of the proxy's: these are taken
 * out.
 */
function patterns(clusterName: string, proxy: ProxyNames): string {
  const { proxyHost, ssh } = proxy;
  const proxies = [...new Set([host(proxyHost), host(ssh.host)])].flatMap((name) => [
    name,
    `[${name}]:${port(ssh.port)}`,
  ]);
  const nodes = nodesOf(cluster(clusterName));
  if (clusterName === proxy.clusterName) return [...nodes, ...proxies].join(',');
  const others = [...nodesOf(cluster(proxy.clusterName)), ...proxies].map((one) => `!${one}`);
  return [...nodes, ...others].join(',');
}

/**
 * Lines that stock ssh reads too. Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
 * @throws CodedError `bad_request` for a name that would be a pattern or break the line.
 */
export const authorityLines = (
  clusters: readonly ClusterAuthorities[],
  proxy: ProxyNames,
): readonly string[] =>
  clusters.flatMap(({ clusterName, checkingKeys }) =>
    checkingKeys.map((key) => {
      const mark = `clustername=${cluster(clusterName)}&type=host&proxy=${host(proxy.proxyHost)}`;
      return `@cert-authority ${patterns(clusterName, proxy)} ${keyLine(key)} ${mark}`;
    }),
  );

/** An authority and where it came from. */
export interface KnownAuthority {
  readonly clusterName: string;
  readonly proxyHost: string;
  readonly blob: Buffer;
}

const ownLine = /^@cert-authority (\S+) (\S+ \S+) clustername=([^&\s]+)&type=host&proxy=(\S+)$/;

/**
 * A line as `authorityLines` writes it; undefined for any other. An earlier release stored what a proxy sent
 * without checking it: a line for names other than its cluster's nodes and single hosts vouches for nobody.
 */
function readAuthority(line: string): KnownAuthority | undefined {
  const [, names = '', key = '', clusterName = '', proxyHost = ''] = ownLine.exec(line) ?? [];
  if (!isClusterName(clusterName) || !isHostName(proxyHost)) return undefined;
  const nodes = nodesOf(clusterName);
  const hosts = names.split(',');
  if (nodes.some((pattern, i) => hosts[i] !== pattern)) return undefined;
  const others = hosts.slice(nodes.length).filter((name) => !name.startsWith('!'));
  if (others.some((name) => /[*?!]/.test(name))) return undefined;
  const blob = keyOf(key);
  return blob === undefined ? undefined : { clusterName, proxyHost, blob };
}

/** All authorities that logins brought, at any proxy. */
export const knownAuthorities = (text: string): readonly KnownAuthority[] =>
  text
    .split('\n')
    .map(readAuthority)
    .filter((known) => known !== undefined);

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

/**
 * Public key blobs of the host authority of a cluster, as a login at this proxy brought them. Unreadable
 * lines are ignored.
 */
export const authoritiesOf = (text: string, proxyHost: string, clusterName: string): readonly Buffer[] =>
  knownAuthorities(text)
    .filter((known) => known.proxyHost === proxyHost && known.clusterName === clusterName)
    .map((known) => known.blob);

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

/** A line for one host as `knownHostName` writes it. @throws CodedError `bad_request` for any other text. */
export function plainKeyLine(name: string, blob: Buffer): string {
  const [, bracketed, digits] = /^\[(.+)\]:(\d{1,5})$/.exec(name) ?? [];
  const written = bracketed === undefined ? host(name) : `[${host(bracketed)}]:${port(Number(digits))}`;
  return `${written} ${toAuthorizedKeyLine(blob).trim()}`;
}

/** `text` with the lines of this cluster at this proxy replaced; all others stay. */
export function replaceClusterAuthorities(
  text: string,
  { clusterName, checkingKeys }: ClusterAuthorities,
  proxy: ProxyNames,
): string {
  const mark = ` clustername=${cluster(clusterName)}&type=host&proxy=${host(proxy.proxyHost)}`;
  const isMine = (line: string): boolean => line.startsWith('@cert-authority ') && line.endsWith(mark);
  const kept = text.split('\n').filter((line) => line !== '' && !isMine(line));
  return [...kept, ...authorityLines([{ clusterName, checkingKeys }], proxy)]
    .map((line) => `${line}\n`)
    .join('');
}

export function storeClusterAuthorities(
  home: TshHome,
  authorities: ClusterAuthorities,
  proxy: ProxyNames,
): void {
  const text = replaceClusterAuthorities(readKnownHosts(home), authorities, proxy);
  writeFileAtomic(home.knownHosts, text, fileMode);
}

export function storePlainKey(home: TshHome, name: string, blob: Buffer): void {
  writeFileAtomic(home.knownHosts, `${readKnownHosts(home)}${plainKeyLine(name, blob)}\n`, fileMode);
}

/** The form of an address in known_hosts: with the port only when it is not 22. */
export const knownHostName = (address: HostPort): string =>
  address.port === 22 ? address.host : `[${address.host}]:${address.port}`;
