import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { ensurePrivateDirectory, writeFileAtomic } from '../../../base/files.ts';
import { type HostPort, formatHostPort } from '../../../base/service.ts';
import { type TshHome, checkedHost, isHostName } from './home.ts';
import { readHostPort } from '../cluster/proxy-address.ts';
import { type WayKind, wayKindOf } from '../ways/way.ts';

/** What `tsh login` stores about a proxy. One for each host, whatever its ports, as in the reference. */
export interface Profile {
  readonly proxyHost: string;
  readonly web: HostPort;
  readonly ssh: HostPort;
  readonly user: string;
  /** The cluster that commands go to. */
  readonly cluster: string;
  /** How its SSH was reached last; absent: at its SSH port. */
  readonly way?: WayKind | undefined;
}

/** Less what the umask takes away. */
const fileMode = 0o660;

/** The text of `<proxyhost>.yaml`. */
export async function profileText(profile: Profile): Promise<string> {
  const { stringify } = await import('../yaml-text.ts');
  return stringify({
    web_proxy_addr: formatHostPort(profile.web),
    ssh_proxy_addr: formatHostPort(profile.ssh),
    auth_type: 'local',
    user: profile.user,
    cluster: profile.cluster,
    // Of ours: 4.4 reads over it.
    ...(profile.way !== undefined && profile.way !== 'port' && { ssh_way: profile.way }),
  });
}

/** A line whose meaning in YAML is obvious: a key, and text that is not a number, a boolean or null. */
const plainLine = /^([a-z_]+): ([A-Za-z][A-Za-z0-9._-]*|[A-Za-z0-9][A-Za-z0-9._-]*:[0-9]+)$/;
const notText = /^(true|false|yes|no|on|off|y|n|null|nan|inf)$/i;

/**
 * Reads the few lines that tsh itself writes; undefined when there is more in it. Spares most commands the
 * YAML library.
 */
export function parsePlain(text: string): Record<string, unknown> | undefined {
  const lines = text.split('\n').filter((line) => line !== '');
  const matches = lines.map((line) => plainLine.exec(line));
  if (matches.some((m) => m === null || notText.test(m[2] ?? ''))) return undefined;
  const entries = matches.map((m): [string, string] => [m?.[1] ?? '', m?.[2] ?? '']);
  return new Set(entries.map(([key]) => key)).size === entries.length
    ? Object.fromEntries(entries)
    : undefined;
}

/**
 * Reads a profile, even one that 4.4 wrote; settings of features that this release does not have are ignored.
 * @throws CodedError `damaged` naming the file.
 */
export async function parseProfile(text: string, proxyHost: string, path: string): Promise<Profile> {
  const fault = (why: string): CodedError =>
    new CodedError(
      'damaged',
      `the profile ${path} cannot be used: ${why}; remove it and run 'tsh login' again`,
    );
  let stored: unknown;
  try {
    stored = parsePlain(text) ?? (await import('../yaml-text.ts')).parse(text);
  } catch (e) {
    throw fault(messageOf(e));
  }
  if (typeof stored !== 'object' || stored === null) throw fault('it is not a mapping');
  const field = (name: string): string => {
    const value: unknown = (stored as Record<string, unknown>)[name];
    if (typeof value !== 'string' || value === '') throw fault(`${name} is missing`);
    return value;
  };
  const address = (name: string): HostPort => {
    const value = readHostPort(field(name));
    if (value === undefined) throw fault(`${name} is not host:port`);
    return { host: value.host === '' ? proxyHost : value.host, port: value.port };
  };
  const way = wayKindOf((stored as Record<string, unknown>)['ssh_way']);
  return {
    ...(way !== undefined && { way }),
    proxyHost,
    web: address('web_proxy_addr'),
    ssh: address('ssh_proxy_addr'),
    user: field('user'),
    cluster: field('cluster'),
  };
}

/** Writes the profile again; the current one stays the current one. */
export async function updateProfile(home: TshHome, profile: Profile): Promise<void> {
  writeFileAtomic(home.profile(profile.proxyHost), await profileText(profile), fileMode);
}

/** Writes the profile and makes it the current one. */
export async function saveProfile(home: TshHome, profile: Profile): Promise<void> {
  const text = await profileText(profile);
  openPrivately(home);
  writeFileAtomic(home.profile(profile.proxyHost), text, fileMode);
  writeFileAtomic(home.currentProfile, `${profile.proxyHost}\n`, fileMode);
}

/** @throws CodedError `misconfigured` when others can read or write the folder. */
export function openPrivately(home: TshHome): void {
  ensurePrivateDirectory(home.directory);
  mkdirSync(home.keys, { recursive: true, mode: 0o700 });
}

/** The profile of a proxy host, or undefined when nobody logged in to it. */
export async function loadProfile(home: TshHome, proxyHost: string): Promise<Profile | undefined> {
  const path = home.profile(proxyHost);
  const text = readIfThere(path);
  return text === undefined ? undefined : parseProfile(text, proxyHost, path);
}

/** The proxy host of the last login. */
export function currentProxyHost(home: TshHome): string | undefined {
  const text = readIfThere(home.currentProfile)?.trim() ?? '';
  return text === '' ? undefined : checkedHost(text);
}

/** All profiles, the current one first, then by name. */
export async function loadProfiles(home: TshHome): Promise<readonly Profile[]> {
  const current = currentProxyHost(home);
  const hosts = listDirectory(home.directory)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .filter(isHostName)
    .sort((a, b) => Number(b === current) - Number(a === current) || (a < b ? -1 : 1));
  const profiles = await Promise.all(hosts.map((host) => loadProfile(home, host)));
  return profiles.filter((p) => p !== undefined);
}

const isAbsent = (e: unknown): boolean =>
  e instanceof Error && 'code' in e && (e.code === 'ENOENT' || e.code === 'ENOTDIR');

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    if (isAbsent(e)) return undefined;
    throw e;
  }
}

export function listDirectory(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (e) {
    if (isAbsent(e)) return [];
    throw e;
  }
}
