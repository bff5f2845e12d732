import type { ParsedKey } from 'ssh2';
import { messageOf } from '../base/errors.ts';
import { certAlgOf, isCertAlg, parseCertificate } from '../pki/ssh-certificate.ts';
import { parsePublicKey, sigAlgsOf, type PublicKey, type SigAlg } from '../pki/ssh-key.ts';
import { Reader } from '../pki/wire.ts';
import type { Identity } from './identity.ts';
import { ssh2 } from './ssh2-library.ts';
import { disguisedKey, parseDonor, sendSignedLogin, type Protocol } from './ssh2-internals.ts';

interface Offer {
  readonly identity: Identity;
  readonly algorithm: SigAlg;
}

/**
 * The plain key of an identity and whether it comes as a user certificate; undefined when we cannot use it.
 */
function readIdentity(identity: Identity): { key: PublicKey; certified: boolean } | undefined {
  try {
    if (!isCertAlg(new Reader(identity.blob).text()))
      return { key: parsePublicKey(identity.blob), certified: false };
    const certificate = parseCertificate(identity.blob);
    return certificate.kind === 'user' ? { key: certificate.key, certified: true } : undefined;
  } catch {
    return undefined; // an agent may hold key types that we cannot use (FIDO, DSA): they are skipped
  }
}

/**
 * Offers identities to a server, each with every signature algorithm of its key, certificates first. It poses
 * as an agent of ssh2, and sends the signed request itself (see sendSignedLogin).
 */
export class LoginOffers extends ssh2.BaseAgent<ParsedKey> {
  readonly #protocol: () => Protocol;
  readonly #source: () => Promise<readonly Identity[]>;
  readonly #offers = new Map<unknown, Offer>();
  /** Errors on the way, for the message when no offer succeeded. */
  readonly troubles: string[] = [];

  constructor(protocol: () => Protocol, source: () => Promise<readonly Identity[]>) {
    super();
    this.#protocol = protocol;
    this.#source = source;
  }

  /** Offers that could be made. */
  get size(): number {
    return this.#offers.size;
  }

  override getIdentities(done: (error?: Error | null, keys?: ParsedKey[]) => void): void {
    this.#prepare().then(
      (keys) => {
        done(null, keys);
      },
      (e: unknown) => {
        this.troubles.push(messageOf(e));
        done(null, []);
      },
    );
  }

  override sign(
    key: ParsedKey | Buffer | string,
    data: Buffer,
    options: unknown,
    callback?: (error?: Error | null, signature?: Buffer) => void,
  ): void {
    const done = typeof options === 'function' ? (options as typeof callback) : callback;
    const offer = this.#offers.get(key);
    if (offer === undefined) {
      done?.(new Error('a signature was asked for a key that was not offered'));
      return;
    }
    offer.identity
      .sign(offer.algorithm, data)
      .then((signature) => {
        sendSignedLogin(this.#protocol(), data, signature);
      })
      .catch((e: unknown) => {
        this.troubles.push(messageOf(e));
        done?.(new Error(messageOf(e))); // ssh2 continues with the next key
      });
  }

  async #prepare(): Promise<ParsedKey[]> {
    const certified: ParsedKey[] = [];
    const plain: ParsedKey[] = [];
    for (const identity of await this.#source()) {
      const known = readIdentity(identity);
      if (known === undefined) continue;
      const donor = parseDonor(known.key.blob);
      for (const algorithm of sigAlgsOf(known.key.type)) {
        const type = known.certified ? certAlgOf(algorithm) : algorithm;
        const key = disguisedKey(donor, { type, publicBlob: identity.blob });
        this.#offers.set(key, { identity, algorithm });
        (known.certified ? certified : plain).push(key);
      }
    }
    return [...certified, ...plain];
  }
}
