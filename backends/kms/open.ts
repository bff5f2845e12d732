import { hash } from 'node:crypto';
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { backoffMs, pause } from '../../src/base/backoff.ts';
import { awsRequests } from '../../src/base/aws-requests.ts';
import { CodedError } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { World } from '../../src/base/world.ts';
import type { Keyring } from '../../src/log/keyring.ts';
import { joinService, splitService } from '../../src/log/wrapped-key.ts';
import { DataKeyCache } from './data-key-cache.ts';
import { codedFrom, refusals } from './kms-errors.ts';

export interface KmsOptions {
  /** Id, ARN or alias of a symmetric key. */
  readonly keyId: string;
  /** Default: from the SDK's chain. Credentials always come from that chain. */
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  /** How long to wait for the service when it is opened. Default 30,000. */
  readonly patienceMs?: number;
  /** Longest wait for one response; there are three attempts. Default 3,000. */
  readonly attemptTimeoutMs?: number;
}

export interface KmsEnvironment {
  readonly sink: LogSink;
  readonly world: Pick<World, 'randomBytes'>;
}

/**
 * A person's password hash and one-time seed are two; this holds those of 5,000 who log in again and again.
 */
const cachedDataKeys = 10_000;
const attempts = 3;

/**
 * Keys of AWS KMS as a keyring: each data key is wrapped by `Encrypt`, with the data key's name as encryption
 * context, and its key-encryption key never leaves the service. Uses the key once, so that a missing,
 * disabled or forbidden one is noticed before anything is served.
 * @throws CodedError `misconfigured` when the service refuses; `unavailable` when it does not reply for
 *   `patienceMs`.
 */
export async function openKmsKeyring(options: KmsOptions, env: KmsEnvironment): Promise<Keyring> {
  const ring = new KmsKeyring(options);
  const patienceMs = options.patienceMs ?? 30_000;
  const began = performance.now();
  for (let failures = 1; ; failures++) {
    try {
      await ring.wrap(env.world.randomBytes(32), 'probe');
      return ring;
    } catch (e) {
      const waited = performance.now() - began;
      if (!(e instanceof CodedError) || e.code !== 'unavailable' || refusals.has(e) || waited >= patienceMs)
        throw refusals.has(e) ? new CodedError('misconfigured', (e as Error).message, { cause: e }) : e;
      env.sink.warn('this auth server waits for the key service', { reason: e.message });
      await pause(Math.min(backoffMs(failures, 500, 5_000, 1), patienceMs - waited));
    }
  }
}

class KmsKeyring implements Keyring {
  readonly #client: KMSClient;
  readonly #keyId: string;
  readonly #cache = new DataKeyCache(cachedDataKeys);
  /** The ARN that the key's id or alias stood for when it was last used. */
  #arn: string | undefined;
  /**
   * Other keys of this service that have opened something: an older key, or one in another region, works too.
   */
  readonly #opened = new Set<string>();

  constructor({ keyId, region, endpoint, attemptTimeoutMs = 3_000 }: KmsOptions) {
    this.#keyId = keyId;
    this.#client = new KMSClient({
      maxAttempts: attempts,
      requestHandler: awsRequests(attemptTimeoutMs),
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
    });
  }

  async wrap(dataKey: Uint8Array, context: string): Promise<Uint8Array> {
    const { CiphertextBlob: ciphertext, KeyId: arn } = await this.#ask(this.#keyId, () =>
      this.#client.send(
        new EncryptCommand({
          KeyId: this.#keyId,
          Plaintext: dataKey,
          EncryptionContext: contextOf(context),
        }),
      ),
    );
    if (ciphertext === undefined || arn === undefined)
      throw new CodedError('unavailable', `the key service returned nothing for ${this.#keyId}`);
    this.#arn = arn;
    return joinService(arn, ciphertext);
  }

  unwrap(wrapped: Uint8Array, context: string): Promise<Uint8Array> {
    // Bound to the name as well: otherwise a data key that was moved would open from the cache.
    const name = hash('sha256', Buffer.concat([Buffer.from(`${context}\0`), wrapped]), 'base64');
    return this.#cache.get(name, () => this.#decrypt(wrapped, context));
  }

  async newest(): Promise<string> {
    if (this.#arn === undefined) await this.wrap(new Uint8Array(32), 'probe');
    return this.#arn ?? this.#keyId;
  }

  /** For any key in the form of an ARN the service is asked: it reports itself whether it has it. */
  holds(keyName: string): Promise<boolean> {
    return Promise.resolve(keyName === this.#arn || this.#opened.has(keyName) || isKmsArn(keyName));
  }

  async #decrypt(wrapped: Uint8Array, context: string): Promise<Uint8Array> {
    const { keyName, ciphertext } = splitService(wrapped);
    const { Plaintext: dataKey } = await this.#ask(keyName, () =>
      this.#client.send(
        new DecryptCommand({
          KeyId: keyName,
          CiphertextBlob: ciphertext,
          EncryptionContext: contextOf(context),
        }),
      ),
    );
    if (dataKey === undefined)
      throw new CodedError('unavailable', `the key service returned nothing for ${keyName}`);
    this.#opened.add(keyName);
    return dataKey;
  }

  async #ask<T>(keyName: string, send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (e) {
      throw codedFrom(e, keyName);
    }
  }
}

/** Also appears in the account's own audit of the key. Never a secret. */
const contextOf = (name: string): Record<string, string> => ({ purpose: 'teleport-log', 'data-key': name });

const isKmsArn = (name: string): boolean => /^arn:[^:]+:kms:/.test(name);
