import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { allSettled } from '../base/settled.ts';
import type { World } from '../base/world.ts';
import type { Recorded, SealedSecret, StreamName } from './event.ts';
import type { Keyring } from './keyring.ts';
import { destroyDataKeys, vaultKey } from './data-keys.ts';
import type { BlobStore } from './slot-driver.ts';
import { wrappedUnder } from './wrapped-key.ts';

/** What a secret belongs to. It is bound to all of this: moved elsewhere, it does not open. */
export interface SecretPlace {
  readonly stream: StreamName;
  readonly eventId: string;
  readonly type: string;
}

export type Sealed = Readonly<Record<string, SealedSecret>>;

const nonceBytes = 12;
const tagBytes = 16;
const nameShape = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * Seals secrets with AES-256-GCM, each under a data key of its own. The data key is in the vault, wrapped;
 * destroying it makes the secret unreadable in every copy of the log.
 */
export class Sealing {
  readonly #vault: BlobStore;
  readonly #keyring: Keyring;
  readonly #world: Pick<World, 'randomBytes'>;

  constructor(vault: BlobStore, keyring: Keyring, world: Pick<World, 'randomBytes'>) {
    this.#vault = vault;
    this.#keyring = keyring;
    this.#world = world;
  }

  /**
   * The data keys are durable in the vault when it resolves. `made` is called with the id of each before it
   * is stored: if the event is not appended in the end, they have to be destroyed.
   */
  async seal(
    place: SecretPlace,
    secrets: Readonly<Record<string, Uint8Array>>,
    made: string[],
  ): Promise<Sealed> {
    const seal = async ([name, secret]: [string, Uint8Array]): Promise<[string, SealedSecret]> => {
      if (!nameShape.test(name))
        throw new CodedError('bad_request', `not a name for a secret: ${JSON.stringify(name)}`);
      const keyId = `${place.eventId}.${name}`;
      const key = this.#world.randomBytes(32);
      const nonce = this.#world.randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(place, name));
      const ciphertext = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      await this.#keep(keyId, key, made);
      const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
      return [name, { keyId, nonce: text(nonce), ciphertext: text(ciphertext) }];
    };
    return Object.fromEntries(await allSettled(Object.entries(secrets).map(seal)));
  }

  async unseal(event: Recorded, name: string): Promise<Uint8Array> {
    const secret = Object.hasOwn(event.sealed ?? {}, name) ? event.sealed?.[name] : undefined;
    const what = `the secret ${name} of ${event.fact.type} in ${event.stream}`;
    if (secret === undefined) throw new CodedError('not_found', `${what} does not exist`);
    const wrapped = await this.#vault.get(vaultKey(secret.keyId));
    if (wrapped === undefined) throw new CodedError('not_found', `${what} was destroyed`);
    const key = await this.#keyring.unwrap(wrapped, secret.keyId);
    const place = { stream: event.stream, eventId: event.id, type: event.fact.type };
    try {
      const bytes = Buffer.from(secret.ciphertext, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(secret.nonce, 'base64'))
        .setAAD(boundTo(place, name))
        .setAuthTag(bytes.subarray(-tagBytes));
      return Buffer.concat([decipher.update(bytes.subarray(0, -tagBytes)), decipher.final()]);
    } catch (cause) {
      throw new CodedError('damaged', `${what} does not open: it was changed, or moved from elsewhere`, {
        cause,
      });
    }
  }

  destroy(keyIds: readonly string[]): Promise<void> {
    return destroyDataKeys(this.#vault, keyIds);
  }

  /**
   * While it was stored the keyring may have got a newer key, and a rewrapping of the vault may have passed
   * by already: the older key could be discarded with this one still under it.
   */
  async #keep(keyId: string, key: Uint8Array, made: string[]): Promise<void> {
    let wrapped = await this.#keyring.wrap(key, keyId);
    made.push(keyId);
    if ((await this.#vault.create(vaultKey(keyId), wrapped)) !== 'created')
      throw new CodedError('unavailable', 'the data key of a new secret could not be kept: its id is in use');
    while (wrappedUnder(wrapped) !== (await this.#keyring.newest())) {
      const again = await this.#keyring.wrap(key, keyId);
      // A rewrapping of the vault may have done it first.
      if ((await this.#vault.replace(vaultKey(keyId), wrapped, again)) !== 'replaced') return;
      wrapped = again;
    }
  }
}

const boundTo = ({ stream, eventId, type }: SecretPlace, name: string): Buffer =>
  Buffer.from(JSON.stringify([stream, eventId, type, name]));
