import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { parseHostPort } from '../../base/addresses.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import type { ConfigFile } from './config-schema.ts';
import { pins } from './config-scalars.ts';

/** How this machine joins a cluster whose auth server runs in another process. */
export interface JoinSettings {
  /** Tried in turn; 127.0.0.1:3025 when none is configured. Or the web address of a proxy (`kind`). */
  readonly authServers: readonly HostPort[];
  /** `proxies`: they are web addresses of proxies (`proxy_server`); `either`: that is found out. */
  readonly kind: 'proxies' | 'either';
  /** The token, or the absolute path of a file that holds it; undefined when there is none. */
  readonly token: string | undefined;
  /** `sha256:<hex>`; an authority that has one of them is the cluster's. */
  readonly pins: readonly string[];
  /** Settings that are present, as the operator wrote them, so that unused ones can be named. */
  readonly given: readonly string[];
}

/** The values of `--auth-server`, `--token` and `--ca-pin`. */
export interface JoinFlags {
  readonly authServers?: readonly string[] | undefined;
  readonly token?: string | undefined;
  readonly caPins?: readonly string[] | undefined;
}

const defaultAuthServer: HostPort = { host: '127.0.0.1', port: 3025 };

/** Each flag overrides its key. @throws CodedError `misconfigured` naming the invalid flag or keys. */
export function joinOf(flags: JoinFlags, file: ConfigFile['teleport']): JoinSettings {
  const { authServers = [], caPins = [] } = flags;
  if (file.auth_servers !== undefined && file.proxy_server !== undefined)
    throw new CodedError(
      'misconfigured',
      'auth_servers and proxy_server are both set: a machine joins at auth servers, or through proxies; remove one',
    );
  const servers = serversOf(authServers, file);
  const settings = {
    token: tokenOf(flags.token ?? file.auth_token),
    pins: caPins.length > 0 ? flagPins('--ca-pin', caPins) : file.ca_pin,
  };
  return {
    ...settings,
    authServers: servers.listed,
    kind: servers.from === 'proxy_server' ? 'proxies' : 'either',
    given: [
      ...(servers.from === undefined ? [] : [servers.from]),
      ...(settings.token === undefined ? [] : ['auth_token']),
      ...(settings.pins.length === 0 ? [] : ['ca_pin']),
    ],
  };
}

interface Servers {
  readonly listed: readonly HostPort[];
  /** The key that lists them; undefined: none does. */
  readonly from: 'auth_servers' | 'proxy_server' | undefined;
}

function serversOf(
  flags: readonly string[],
  { auth_servers: listed, proxy_server: proxies }: ConfigFile['teleport'],
): Servers {
  if (flags.length > 0)
    return { listed: flags.map((text) => parseHostPort(text, 3025)), from: 'auth_servers' };
  if (listed !== undefined) return { listed, from: 'auth_servers' };
  if (proxies !== undefined) return { listed: proxies, from: 'proxy_server' };
  return { listed: [defaultAuthServer], from: undefined };
}

function tokenOf(text: string | undefined): string | undefined {
  if (text?.trim() === '')
    throw new CodedError(
      'misconfigured',
      '--token: expected a join token, or the path of a file that holds one',
    );
  return text;
}

/** CA pins of a flag, each once. @throws CodedError `misconfigured` naming the flag. */
export function flagPins(flag: string, texts: readonly string[]): readonly string[] {
  const parsed = pins.safeParse([...texts]);
  if (parsed.success) return parsed.data;
  throw new CodedError('misconfigured', `${flag}: ${parsed.error.issues[0]?.message ?? 'bad pin'}`);
}

/**
 * The token itself. A file is read each time, so that its current content counts.
 * @throws CodedError `misconfigured` when there is none, or its file cannot be read or is empty.
 */
export function readToken({ token }: Pick<JoinSettings, 'token'>): string {
  if (token === undefined)
    throw new CodedError(
      'misconfigured',
      'there is no token to join with: make one on an auth server (`tctl tokens add`) and set auth_token (--token)',
    );
  if (!isAbsolute(token)) return token.trim();
  let text: string;
  try {
    text = readFileSync(token, 'utf8').trim();
  } catch (e) {
    throw new CodedError('misconfigured', `auth_token: cannot read the file ${token}: ${messageOf(e)}`);
  }
  if (text === '') throw new CodedError('misconfigured', `auth_token: the file ${token} is empty`);
  return text;
}
