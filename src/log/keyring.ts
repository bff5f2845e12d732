import { createCipheriv, createDecipheriv } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { CodedError, messageOf } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import { realWorld, type World } from '../base/world.ts';

/**
 * Holds the key-encryption keys, outside the store. Small, so that a shared key file or a key service can take its
 * place. `context` names the data key; what was wrapped for one name does not unwrap for another.
 */
export interface Keyring {
  /** Wraps under the newest key. */
  wrap(dataKey: Uint8Array, context: string): Promise<Uint8Array>;
  /**
   * @throws CodedError `unavailable` when this keyring lacks the key it was wrapped under; `damaged` when the bytes are
   * not what was wrapped.
   */
  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array>;
}

export interface KeyEncryptionKey {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly key: Uint8Array;
}

const idBytes = 8;
const nonceBytes = 12;
const tagBytes = 16;
const version = 1;

/**
 * The newest key is the last one; the others still unwrap.
 * Wrapped: u8 version | 8 key id | 12 nonce | AES-256-GCM ciphertext | 16 tag.
 */
export function keyringOf(keys: readonly KeyEncryptionKey[], world: Pick<World, 'randomBytes'>): Keyring {
  const newest = keys.at(-1);
  if (newest === undefined) throw new CodedError('misconfigured', 'a keyring holds at least one key');
  return {
    wrap: (dataKey, context) => {
      const nonce = world.randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', newest.key, nonce).setAAD(Buffer.from(context));
      const head = [Buffer.of(version), Buffer.from(newest.id, 'hex'), nonce];
      return Promise.resolve(
        Buffer.concat([...head, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]),
      );
    },
    unwrap: (wrapped, context) => {
      try {
        return Promise.resolve(unwrapWith(keys, Buffer.from(wrapped), context));
      } catch (e) {
        return Promise.reject(
          e instanceof CodedError
            ? e
            : new CodedError('damaged', `a data key does not unwrap: ${messageOf(e)}`),
        );
      }
    },
  };
}

function unwrapWith(keys: readonly KeyEncryptionKey[], wrapped: Buffer, context: string): Uint8Array {
  const headBytes = 1 + idBytes + nonceBytes;
  if (wrapped.length < headBytes + tagBytes || wrapped[0] !== version)
    throw new CodedError('damaged', 'a data key in the vault has a form that is not known');
  const id = wrapped.toString('hex', 1, 1 + idBytes);
  const key = keys.find((one) => one.id === id);
  if (key === undefined)
    throw new CodedError(
      'unavailable',
      `a secret was sealed under the key ${id}, which this keyring does not hold: restore the keyring file it came with`,
    );
  const decipher = createDecipheriv('aes-256-gcm', key.key, wrapped.subarray(1 + idBytes, headBytes))
    .setAAD(Buffer.from(context))
    .setAuthTag(wrapped.subarray(-tagBytes));
  return Buffer.concat([decipher.update(wrapped.subarray(headBytes, -tagBytes)), decipher.final()]);
}

/** A keyring that is gone with the process: for tests. */
export const memoryKeyring = (world: Pick<World, 'randomBytes'> = realWorld): Keyring =>
  keyringOf([newKey(world)], world);

/** Opens nothing and seals nothing: for tools that only look at the log. */
export const noKeyring: Keyring = {
  wrap: () => Promise.reject(new CodedError('unavailable', 'the log was opened without a keyring')),
  unwrap: () => Promise.reject(new CodedError('unavailable', 'the log was opened without a keyring')),
};

const newKey = (world: Pick<World, 'randomBytes'>): KeyEncryptionKey => ({
  id: Buffer.from(world.randomBytes(idBytes)).toString('hex'),
  key: world.randomBytes(32),
});

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
 * Opens the keyring file, and makes it (0600) on first start. Its directory must exist. Whoever loses this file loses
 * every secret on the log.
 * @throws CodedError `misconfigured` when others can read it or it is not a keyring.
 */
export function openKeyring(path: string, world: Pick<World, 'randomBytes'> = realWorld): Promise<Keyring> {
  try {
    return Promise.resolve(keyringOf(readKeys(path) ?? createKeys(path, world), world));
  } catch (e) {
    return Promise.reject(
      e instanceof CodedError ? e : new CodedError('misconfigured', messageOf(e), { cause: e }),
    );
  }
}

function readKeys(path: string): KeyEncryptionKey[] | undefined {
  let text: string;
  try {
    const { mode } = statSync(path);
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

/** Two processes may start at once: the file appears whole or not at all, and the first one's counts. */
function createKeys(path: string, world: Pick<World, 'randomBytes'>): KeyEncryptionKey[] {
  const { id, key } = newKey(world);
  const candidate = `${path}.${process.pid}.${id}.new`;
  const text = `${JSON.stringify({ version: 1, keys: [{ id, key: Buffer.from(key).toString('base64') }] })}\n`;
  writeFileAtomic(candidate, text, 0o600);
  try {
    linkSync(candidate, path);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
  } finally {
    rmSync(candidate, { force: true });
  }
  syncDirectory(dirname(path));
  const kept = readKeys(path);
  if (kept === undefined) throw new CodedError('misconfigured', `${path} vanished while it was made`);
  return kept;
}

/** The name must be on the disk before the first secret is sealed under the key. */
function syncDirectory(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
