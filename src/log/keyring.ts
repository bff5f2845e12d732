import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CodedError, messageOf } from '../base/errors.ts';
import { realWorld, type World } from '../base/world.ts';
import { ringForm, wrappedUnder } from './wrapped-key.ts';

/**
 * Holds the key-encryption keys, outside the store. Small, so that a shared key file or a key service can
 * take its place. `context` names the data key; a key wrapped for one name does not unwrap for another.
 */
export interface Keyring {
  /**
   * Wraps under the newest key, where looking that up is cheap; otherwise under the newest key known here: a
   * caller that stores the result calls `newest` afterwards in any case. @throws CodedError `unavailable`
   * when that key is out of reach.
   */
  wrap(dataKey: Uint8Array, context: string): Promise<Uint8Array>;
  /**
   * @throws CodedError `unavailable` when this keyring lacks the key it was wrapped under, or that key is out
   *   of reach; `damaged` when the bytes are not what was wrapped.
   */
  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array>;
  /**
   * The name (as `wrappedUnder` gives it) of the key that `wrap` takes. Looked up each time, since an
   * operator may have changed it beside this process.
   */
  newest(): Promise<string>;
  /** Whether keys wrapped under this key can be unwrapped here. Looked up again when it is not known. */
  holds(keyName: string): Promise<boolean>;
}

export interface KeyEncryptionKey {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly key: Uint8Array;
}

const headBytes = 1 + 8 + 12;
const nonceBytes = 12;
const tagBytes = 16;

/** The keys, the newest last. `known` may be as of the last lookup; `now` is current. */
export type KeySupply = (as: 'known' | 'now') => Promise<readonly KeyEncryptionKey[]>;

/**
 * A keyring over keys that may change while it is used.
 * @param where for messages: its name for operators.
 * @param wrapsBy `known` where each lookup takes a round trip. Default: it looks up before it wraps.
 */
export function keyringFrom(
  supply: KeySupply,
  world: Pick<World, 'randomBytes'>,
  where = 'this keyring',
  wrapsBy: 'known' | 'now' = 'now',
): Keyring {
  const newestOf = async (as: 'known' | 'now'): Promise<KeyEncryptionKey> => {
    const newest = (await supply(as)).at(-1);
    if (newest === undefined) throw new CodedError('unavailable', `${where} holds no key`);
    return newest;
  };
  const find = async (id: string): Promise<KeyEncryptionKey | undefined> => {
    const among = (keys: readonly KeyEncryptionKey[]): KeyEncryptionKey | undefined =>
      keys.find((one) => one.id === id);
    return among(await supply('known')) ?? among(await supply('now'));
  };
  return {
    wrap: async (dataKey, context) => wrapUnder(await newestOf(wrapsBy), dataKey, context, world),
    unwrap: async (wrapped, context) => {
      const id = wrappedUnder(wrapped);
      const key = await find(id);
      if (key === undefined) throw missingKey(id, where);
      return unwrapWith(key, Buffer.from(wrapped), context);
    },
    newest: async () => (await newestOf('now')).id,
    holds: async (keyName) => (await find(keyName)) !== undefined,
  };
}

export const missingKey = (id: string, where: string): CodedError =>
  new CodedError(
    'unavailable',
    `a secret was sealed under the key ${id}, which ${where} does not hold: restore the keyring it came with`,
  );

/** The newest key is the last one; the others still unwrap. */
export function keyringOf(keys: readonly KeyEncryptionKey[], world: Pick<World, 'randomBytes'>): Keyring {
  if (keys.length === 0) throw new CodedError('misconfigured', 'a keyring holds at least one key');
  return keyringFrom(() => Promise.resolve(keys), world);
}

function wrapUnder(
  { id, key }: KeyEncryptionKey,
  dataKey: Uint8Array,
  context: string,
  world: Pick<World, 'randomBytes'>,
): Uint8Array {
  const nonce = world.randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const head = [Buffer.of(ringForm), Buffer.from(id, 'hex'), nonce];
  return Buffer.concat([...head, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
}

function unwrapWith({ key }: KeyEncryptionKey, wrapped: Buffer, context: string): Uint8Array {
  if (wrapped.length < headBytes + tagBytes)
    throw new CodedError('damaged', 'a data key in the vault has a form that is not known');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(headBytes - nonceBytes, headBytes))
      .setAAD(Buffer.from(context))
      .setAuthTag(wrapped.subarray(-tagBytes));
    return Buffer.concat([decipher.update(wrapped.subarray(headBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new CodedError('damaged', `a data key does not unwrap: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Wraps under the first; unwraps with whichever holds the key. For the time between two keyrings, until the
 * vault is rewrapped.
 */
export function keyringChain(first: Keyring, ...others: readonly Keyring[]): Keyring {
  if (others.length === 0) return first;
  const all = [first, ...others];
  const holder = async (keyName: string): Promise<Keyring | undefined> => {
    for (const one of all) if (await one.holds(keyName)) return one;
    return undefined;
  };
  return {
    wrap: (dataKey, context) => first.wrap(dataKey, context),
    // The error of the first is the most useful.
    unwrap: async (wrapped, context) =>
      ((await holder(wrappedUnder(wrapped))) ?? first).unwrap(wrapped, context),
    newest: () => first.newest(),
    holds: async (keyName) => (await holder(keyName)) !== undefined,
  };
}

/** A keyring that ends with the process: for tests. */
export const memoryKeyring = (world: Pick<World, 'randomBytes'> = realWorld): Keyring =>
  keyringOf([newKey(world)], world);

/** The same in every process: for tests of several. */
export const sharedTestKeyring: Keyring = keyringOf(
  [{ id: '0000000000000000', key: new Uint8Array(32) }],
  realWorld,
);

const withoutKeyring = (): Promise<never> =>
  Promise.reject(new CodedError('unavailable', 'the log was opened without a keyring'));

/** Opens nothing and seals nothing: for tools that only read the log. */
export const noKeyring: Keyring = {
  wrap: withoutKeyring,
  unwrap: withoutKeyring,
  newest: withoutKeyring,
  holds: () => Promise.resolve(false),
};

export const newKey = (world: Pick<World, 'randomBytes'>): KeyEncryptionKey => ({
  id: Buffer.from(world.randomBytes(8)).toString('hex'),
  key: world.randomBytes(32),
});
