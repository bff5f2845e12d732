import type { KeyObject } from 'node:crypto';
import net from 'node:net';
import { CodedError, messageOf } from '../base/errors.ts';
import { certTypeOf } from '../pki/ssh-certificate.ts';
import { publicKeyOf, type SigAlg } from '../pki/ssh-key.ts';
import { mpint, Reader, str, u32, WireError } from '../pki/wire.ts';
import type { Identity } from './identity.ts';

/** Message numbers. Source: draft-miller-ssh-agent, 5.1. */
const number = {
  success: 6,
  list: 11,
  identities: 12,
  sign: 13,
  signed: 14,
  add: 17,
  remove: 18,
  addConstrained: 25,
} as const;
const LIFETIME = 1;
const MAX_REPLY_BYTES = 256 * 1024;
const TIMEOUT_MS = 30_000;

/** The comment of our keys in an agent. */
export const agentComment = (username: string): string => `teleport:${username}`;

export interface AgentKey {
  readonly privateKey: KeyObject;
  readonly certificate?: Buffer;
  readonly comment: string;
  /** The agent forgets the key after this time. */
  readonly lifetimeSeconds?: number;
}

type Jwk = Readonly<Record<string, unknown>>;
const field = (jwk: Jwk, name: string): Buffer => {
  const value = jwk[name];
  if (typeof value !== 'string')
    throw new CodedError('bad_request', 'this is not a private key an agent can hold');
  return Buffer.from(value, 'base64url');
};

/**
 * The private half in the form that agents expect after type and certificate; `withPublic` when there is no
 * certificate.
 */
function privateFields(key: KeyObject, withPublic: boolean): Buffer {
  const jwk = key.export({ format: 'jwk' }) as Jwk;
  const plain = publicKeyOf(key);
  const publicFields = plain.blob.subarray(4 + Buffer.byteLength(plain.type));
  switch (jwk['kty']) {
    case 'OKP': // the public half is repeated even beside a certificate
      return Buffer.concat([str(field(jwk, 'x')), str(Buffer.concat([field(jwk, 'd'), field(jwk, 'x')]))]);
    case 'EC':
      return Buffer.concat([withPublic ? publicFields : Buffer.alloc(0), mpint(field(jwk, 'd'))]);
    case 'RSA': {
      const numbers = [...(withPublic ? ['n', 'e'] : []), 'd', 'qi', 'p', 'q'];
      return Buffer.concat(numbers.map((name) => mpint(field(jwk, name))));
    }
    default:
      throw new CodedError('bad_request', 'this kind of key cannot be held by an agent');
  }
}

/**
 * The ssh-agent at a socket. Nothing may depend on it, so callers treat `unavailable` as "no agent" (see
 * `identitiesOrNone`). Each request has a connection of its own, so that a restarted agent is not a problem.
 */
export class SshAgent {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The agent that SSH_AUTH_SOCK names, if any. */
  static of(environment: Readonly<Record<string, string | undefined>>): SshAgent | undefined {
    const path = environment['SSH_AUTH_SOCK'];
    return path === undefined || path === '' ? undefined : new SshAgent(path);
  }

  /** @throws CodedError `unavailable` when there is no agent or its reply is malformed. */
  async identities(): Promise<Identity[]> {
    const r = await this.#ask(Buffer.of(number.list), number.identities, 'list its keys');
    return this.#read(() => {
      const identities: Identity[] = [];
      for (let left = r.u32(); left > 0; left--) {
        const blob = Buffer.from(r.bytes());
        const comment = r.bytes().toString('utf8');
        identities.push({ blob, comment, sign: (algorithm, data) => this.sign(blob, algorithm, data) });
      }
      return identities;
    });
  }

  /**
   * As `identities`, but an agent that cannot be used counts as empty; `onTrouble` is called with the reason.
   */
  async identitiesOrNone(onTrouble: (reason: string) => void): Promise<Identity[]> {
    try {
      return await this.identities();
    } catch (e) {
      if (!(e instanceof CodedError)) throw e;
      onTrouble(e.message);
      return [];
    }
  }

  /**
   * @throws CodedError `unavailable`, also when the agent used another algorithm than requested (old ones
   *   know SHA-1 only).
   */
  async sign(blob: Buffer, algorithm: SigAlg, data: Buffer): Promise<Buffer> {
    const flags = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 }[algorithm as string] ?? 0;
    const question = Buffer.concat([Buffer.of(number.sign), str(blob), str(data), u32(flags)]);
    const r = await this.#ask(question, number.signed, 'sign');
    return this.#read(() => {
      const signature = Buffer.from(r.bytes());
      if (new Reader(signature).text() !== algorithm)
        throw new CodedError('unavailable', `the ssh agent does not sign with ${algorithm}`);
      return signature;
    });
  }

  /** Adds a key, with its certificate when given. @throws CodedError `unavailable` */
  async add(key: AgentKey): Promise<void> {
    const plain = publicKeyOf(key.privateKey);
    const head =
      key.certificate === undefined
        ? str(plain.type)
        : Buffer.concat([str(certTypeOf(plain.type)), str(key.certificate)]);
    const body = [head, privateFields(key.privateKey, key.certificate === undefined), str(key.comment)];
    const question =
      key.lifetimeSeconds === undefined
        ? Buffer.concat([Buffer.of(number.add), ...body])
        : Buffer.concat([
            Buffer.of(number.addConstrained),
            ...body,
            Buffer.of(LIFETIME),
            u32(key.lifetimeSeconds),
          ]);
    await this.#ask(question, number.success, 'add the key');
  }

  /**
   * Removes one key or certificate. @throws CodedError `unavailable`, also when the agent does not have it.
   */
  async remove(blob: Buffer): Promise<void> {
    await this.#ask(Buffer.concat([Buffer.of(number.remove), str(blob)]), number.success, 'remove the key');
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (e) {
      if (e instanceof WireError)
        throw new CodedError('unavailable', 'the ssh agent sent a malformed answer', { cause: e });
      throw e;
    }
  }

  async #ask(question: Buffer, expected: number, what: string): Promise<Reader> {
    const r = new Reader(await this.#exchange(str(question)));
    const type = this.#read(() => r.u8());
    if (type !== expected) throw new CodedError('unavailable', `the ssh agent refused to ${what}`);
    return r;
  }

  #exchange(question: Buffer): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const socket = net.connect(this.path);
    const fail = (reason: string): void => {
      reject(new CodedError('unavailable', `the ssh agent at ${this.path} cannot be used: ${reason}`));
      socket.destroy();
    };
    let received = Buffer.alloc(0);
    socket.setTimeout(TIMEOUT_MS, () => {
      fail('no answer');
    });
    socket.on('error', (e) => {
      fail(messageOf(e));
    });
    socket.on('close', () => {
      fail('it hung up');
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length < 4 ? 0 : received.readUInt32BE(0);
      if (length > MAX_REPLY_BYTES) fail('the answer is too large');
      else if (received.length >= 4 && received.length >= 4 + length) {
        resolve(received.subarray(4, 4 + length));
        socket.destroy();
      }
    });
    socket.write(question);
    return promise;
  }
}
