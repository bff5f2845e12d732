import { CodedError, messageOf } from '../../src/base/errors.ts';
import { NotSent, refusesLogin, saidBy } from './answers.ts';
import { grpc, type Metadata } from './grpc.ts';

/**
 * Younger than the 5 minutes after which etcd forgets an unused token, unless it was configured otherwise.
 */
const renewAfterMs = 4 * 60_000;

export interface TokenOptions {
  /** One login. Rejects with etcd's reply. */
  readonly logIn: () => Promise<string>;
  /** Milliseconds of a monotonic clock. */
  readonly clock: () => number;
  /** The server requires no login. */
  readonly notAsked: () => void;
}

/**
 * The token that is sent to a peer with every call, in place of etcd3's own, which has no time limit, does
 * not renew, and goes through proxies. It is renewed beside the calls when it is old, and before them when it
 * was refused.
 */
export class TokenSource {
  readonly #options: TokenOptions;
  #current: { readonly metadata: Metadata; readonly since: number } | undefined;
  #pending: Promise<Metadata> | undefined;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  /**
   * Called by etcd3 before each call.
   * @throws CodedError `misconfigured` when etcd refuses the password; NotSent when it could not be asked.
   */
  async getMetadata(): Promise<Metadata> {
    const { clock } = this.#options;
    if (this.#current === undefined) return this.#renew();
    // If this fails, the old token may still work; when it does not, the error of the next call shows why.
    if (clock() - this.#current.since > renewAfterMs) this.#renew().catch(() => undefined);
    return this.#current.metadata;
  }

  /**
   * Called by etcd3 when a call was refused for its token. There may be many at once: the first of them gets
   * a new one.
   */
  invalidateMetadata(): void {
    if (this.#pending === undefined) this.#current = undefined;
  }

  #renew(): Promise<Metadata> {
    this.#pending ??= this.#logIn().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #logIn(): Promise<Metadata> {
    const { logIn, clock, notAsked } = this.#options;
    const since = clock();
    const metadata = new grpc.Metadata();
    try {
      metadata.set('token', await logIn());
    } catch (e) {
      if (e instanceof CodedError) throw e;
      const text = messageOf(e);
      if (refusesLogin(text))
        throw new CodedError(
          'misconfigured',
          `etcd refuses username and password: ${saidBy(e)} (storage.username, storage.password_file)`,
          { cause: e },
        );
      if (!text.includes('authentication is not enabled'))
        throw new NotSent(`could not log in: ${saidBy(e)}`, e);
      notAsked();
    }
    this.#current = { metadata, since };
    return metadata;
  }
}
