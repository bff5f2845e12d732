import { closeSync, linkSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { CodedError, messageOf } from '../base/errors.ts';
import { syncFolderNow, writeFileAtomic } from '../base/files.ts';
import { realWorld, type World } from '../base/world.ts';
import { type KeyEncryptionKey, type Keyring, keyringFrom, newKey } from './keyring.ts';

/** The last one is the newest: it wraps. */
const fileShape = z.strictObject({
  version: z.literal(1),
  keys: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[0-9a-f]{16}$/),
        key: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
      }),
    )
    .min(1),
});

/**
 * Opens the keyring file, and makes it (0600) when there is none. Its directory must exist. If this file is
 * lost, so is every secret on the log. It is read again when it was changed, so that a new key is known
 * without a restart.
 * @throws CodedError `misconfigured` when others can read it or it is not a keyring.
 */
export function openKeyring(path: string, world: Pick<World, 'randomBytes'> = realWorld): Promise<Keyring> {
  return coded(() => ringOf(path, readKeyringFile(path) ?? createKeys(path, world), world));
}

/** The same for an existing file; undefined when there is none. */
export function openExistingKeyring(
  path: string,
  world: Pick<World, 'randomBytes'> = realWorld,
): Promise<Keyring | undefined> {
  return coded(() => {
    const keys = readKeyringFile(path);
    return keys && ringOf(path, keys, world);
  });
}

/** Changes when the file system reports a changed file. */
const stampOf = (path: string): string => {
  const { ino, size, mtimeNs } = statSync(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
};

function ringOf(
  path: string,
  first: readonly KeyEncryptionKey[],
  world: Pick<World, 'randomBytes'>,
): Keyring {
  let keys = first;
  // The file may have been replaced since it was read: an unknown stamp makes the first look read it again.
  let stamp = '';
  const look = (): readonly KeyEncryptionKey[] => {
    const now = stampOf(path);
    if (now !== stamp) {
      const read = readKeyringFile(path);
      if (read === undefined) throw new CodedError('unavailable', `the keyring file ${path} is gone`);
      keys = read;
      stamp = now;
    }
    return keys;
  };
  return keyringFrom(
    (as) => {
      try {
        return Promise.resolve(look());
      } catch (e) {
        // Good enough to open secrets; but one sealed under a key that may be gone would be lost.
        if (as === 'known') return Promise.resolve(keys);
        const reason = `the keyring file ${path} cannot be read: ${messageOf(e)}`;
        return Promise.reject(new CodedError('unavailable', reason, { cause: e }));
      }
    },
    world,
    path,
  );
}

/**
 * The keys of a keyring file, oldest first; undefined when there is no such file.
 * @throws CodedError `misconfigured` when others can read it or it is not a keyring.
 */
export function readKeyringFile(path: string): KeyEncryptionKey[] | undefined {
  let text: string;
  try {
    const info = statSync(path);
    const { mode } = info;
    // Reading a pipe might wait for ever.
    if (!info.isFile())
      throw new CodedError('misconfigured', `${path} is not a keyring file, but a directory or a pipe`);
    if ((mode & 0o077) !== 0)
      throw new CodedError(
        'misconfigured',
        `${path} can be read or written by others (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): chmod 0600 ${path}`,
      );
    text = readFileSync(path, 'utf8');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  }
  const parsed = fileShape.safeParse(jsonOrUndefined(text));
  if (!parsed.success)
    throw new CodedError('misconfigured', `${path} is not a keyring file: restore it from a backup`);
  return parsed.data.keys.map(({ id, key }) => ({ id, key: Buffer.from(key, 'base64') }));
}

const fileText = (keys: readonly KeyEncryptionKey[]): string =>
  `${JSON.stringify({ version: 1, keys: keys.map(({ id, key }) => ({ id, key: Buffer.from(key).toString('base64') })) })}\n`;

/** Two processes may start at once: the file appears complete or not at all, and the first one's counts. */
function createKeys(path: string, world: Pick<World, 'randomBytes'>): KeyEncryptionKey[] {
  const key = newKey(world);
  const candidate = `${path}.${process.pid}.${key.id}.new`;
  writeFileAtomic(candidate, fileText([key]), 0o600);
  try {
    linkSync(candidate, path);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
  } finally {
    rmSync(candidate, { force: true });
  }
  // The name must be on the disk before the first secret is sealed under the key.
  syncFolderNow(dirname(path));
  const kept = readKeyringFile(path);
  if (kept === undefined) throw new CodedError('misconfigured', `${path} vanished while it was made`);
  return kept;
}

/**
 * Changes the keys of a keyring file: a reader sees the old ones or the new. One at a time, by a lock file.
 * @throws CodedError `not_found` without a file; `conflict` when another process changes it.
 */
export function changeKeyringFile(
  path: string,
  change: (keys: readonly KeyEncryptionKey[]) => readonly KeyEncryptionKey[],
): Promise<readonly KeyEncryptionKey[]> {
  return coded(() => {
    const lock = `${path}.lock`;
    takeLock(lock);
    try {
      const keys = readKeyringFile(path);
      if (keys === undefined) throw new CodedError('not_found', `there is no keyring file ${path}`);
      const changed = change(keys);
      if (changed.length === 0) throw new Error('bug: a keyring was left without a key');
      writeFileAtomic(path, fileText(changed), 0o600);
      return changed;
    } finally {
      rmSync(lock, { force: true });
    }
  });
}

function takeLock(lock: string): void {
  try {
    closeSync(openSync(lock, 'wx', 0o600));
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
    throw new CodedError(
      'conflict',
      `another process changes the keyring: try again; if there is none, it died: remove ${lock}`,
    );
  }
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A refusal by the file system is a fault of the configuration. */
function coded<T>(act: () => T): Promise<T> {
  try {
    return Promise.resolve(act());
  } catch (e) {
    return Promise.reject(
      e instanceof CodedError ? e : new CodedError('misconfigured', messageOf(e), { cause: e }),
    );
  }
}
