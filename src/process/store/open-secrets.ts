import { type Stats, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Configuration } from '../configuration/configuration.ts';

/**
 * Files with secrets of this configuration that every user of this machine may read or write, one line each:
 * which file, what is in it, what to do. Anybody with a join token can add machines to the cluster. Files
 * that cannot be examined are reported when they are read; those of the keyring and of etcd are checked where
 * they are opened.
 */
export function openSecrets({ file, path, join }: Pick<Configuration, 'file' | 'path' | 'join'>): string[] {
  const { teleport, auth_service: auth, proxy_service: proxy } = file;
  const token = teleport.auth_token;
  const inText = [
    ...(token === undefined || isAbsolute(token) ? [] : ['teleport.auth_token']),
    ...(auth.tokens.every((line) => isAbsolute(line.token)) ? [] : ['auth_service.tokens']),
    ...('secret_key' in teleport.storage && teleport.storage.secret_key !== undefined
      ? ['teleport.storage.secret_key']
      : []),
    ...(teleport.storage.witness.some(hasPassword) ? ['teleport.storage.witness'] : []),
  ];
  const files: readonly (readonly [path: string | undefined, holds: string])[] = [
    [inText.length === 0 ? undefined : path, inText.join(', ')],
    [
      join.token !== undefined && isAbsolute(join.token) ? join.token : undefined,
      'a join token (auth_token)',
    ],
    ...auth.tokens.map((line) => [isAbsolute(line.token) ? line.token : undefined, 'a join token'] as const),
    [proxy.https_key_file, 'the private key of the web certificate (https_key_file)'],
    ...proxy.https_keypairs.map((pair) => [pair.key_file, 'a private key (https_keypairs)'] as const),
  ];
  return files
    .map(([at, holds]) => (at === undefined ? undefined : warningOf(at, holds)))
    .filter((warning) => warning !== undefined);
}

function warningOf(path: string, holds: string): string | undefined {
  const info = reachable(path);
  if (info === undefined || (info.mode & 0o007) === 0) return undefined;
  const mode = (info.mode & 0o777).toString(8).padStart(4, '0');
  return (
    `${path} is open to every user of this machine (mode ${mode}) and holds ${holds}: chmod o= ${path}, ` +
    'and replace what others may have read'
  );
}

/** A role that is off may have a file too, in a folder that an account without rights cannot enter. */
function reachable(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined; // reading it reports why
  }
}

const hasPassword = (place: string): boolean => URL.canParse(place) && new URL(place).password !== '';
